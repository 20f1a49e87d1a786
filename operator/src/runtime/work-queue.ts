import { backoffMs, type BackoffOptions } from './backoff.ts';
import type { Clock } from './clock.ts';
import { noQueueMetrics, type QueueMetrics } from './work-queue-metrics.ts';

export interface WorkQueueOptions {
  clock: Clock;
  backoff?: BackoffOptions;
  metrics?: QueueMetrics;
}

/** From a tenth of a second, so that a lost race is soon made good, to a minute. */
const defaultBackoff: BackoffOptions = { baseMs: 100, maxMs: 60_000 };

/**
 * The keys that need work.
 *
 * - A key waits at most once, however often it is added.
 * - A key is never handed out twice at a time; one that is added while it is worked on is handed out again after.
 * - A key may be due later; adding it again moves it nearer, never further away.
 * - A key that failed comes back after a wait that doubles each time, until it is forgotten.
 *
 * Whoever takes a key must give it back with `done`.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #backoff: BackoffOptions;
  readonly #metrics: QueueMetrics;
  /** Due, in order; each with the moment it became due. */
  readonly #ready = new Map<string, number>();
  /** Being worked on; each with the moment it was taken. */
  readonly #active = new Map<string, number>();
  /** Added while being worked on. */
  readonly #again = new Set<string>();
  /** Not due yet. */
  readonly #delayed = new Map<string, { at: number; cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #idlers: (() => void)[] = [];
  #isShutDown = false;

  constructor({ clock, backoff = defaultBackoff, metrics = noQueueMetrics }: WorkQueueOptions) {
    this.#clock = clock;
    this.#backoff = backoff;
    this.#metrics = metrics;
    metrics.observeUnfinished(() => [...this.#active.values()].map((since) => (clock.now() - since) / 1000));
  }

  /** How many keys are due and not taken. */
  get depth(): number {
    return this.#ready.size;
  }

  /** How many keys are not due yet. */
  get delayed(): number {
    return this.#delayed.size;
  }

  /** Makes the key due now. */
  add(key: string): void {
    if (this.#isShutDown) return;
    this.#callOff(key);
    if (this.#active.has(key)) {
      if (!this.#again.has(key)) this.#metrics.added();
      this.#again.add(key);
      return;
    }
    if (this.#ready.has(key)) return;
    this.#metrics.added();
    this.#enqueue(key);
  }

  /** Makes the key due after a time, unless it is due sooner anyway. */
  addAfter(key: string, ms: number): void {
    if (this.#isShutDown) return;
    if (ms <= 0) return this.add(key);
    if (this.#ready.has(key) || this.#again.has(key)) return;
    const at = this.#clock.now() + ms;
    const earlier = this.#delayed.get(key);
    if (earlier !== undefined && earlier.at <= at) return;
    earlier?.cancel();
    const cancel = this.#clock.after(ms, () => this.add(key));
    this.#delayed.set(key, { at, cancel });
  }

  /**
   * Counts a failure and makes the key due after its wait.
   * @param waitMs how long to wait, given the wait that the failures so far call for.
   */
  retry(key: string, waitMs: (backoffMs: number) => number = (ms) => ms): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.#metrics.retried();
    this.addAfter(key, waitMs(backoffMs(failures, this.#backoff)));
  }

  /** Forgets the key's failures: its next one is the first again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key that is due, or undefined once the queue is shut down. */
  take(): Promise<string | undefined> {
    if (this.#isShutDown) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#handOut();
    });
  }

  /** Says that the work on a key has ended. */
  done(key: string): void {
    const since = this.#active.get(key);
    if (since === undefined) return;
    this.#active.delete(key);
    this.#metrics.worked((this.#clock.now() - since) / 1000);
    if (this.#again.delete(key)) this.#enqueue(key);
    if (this.#active.size === 0) for (const resolve of this.#idlers.splice(0)) resolve();
  }

  /** Hands out nothing any more and forgets what waits. */
  shutDown(): void {
    if (this.#isShutDown) return;
    this.#isShutDown = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#ready.clear();
    this.#again.clear();
    this.#metrics.depth(0);
    for (const resolve of this.#takers.splice(0)) resolve(undefined);
  }

  /** Resolves when nothing is being worked on. */
  async idle(): Promise<void> {
    if (this.#active.size > 0) await new Promise<void>((resolve) => this.#idlers.push(resolve));
  }

  #enqueue(key: string): void {
    if (this.#isShutDown) return;
    this.#ready.set(key, this.#clock.now());
    this.#metrics.depth(this.#ready.size);
    this.#handOut();
  }

  #handOut(): void {
    for (const [key, since] of this.#ready) {
      const resolve = this.#takers.shift();
      if (resolve === undefined) return;
      const now = this.#clock.now();
      this.#ready.delete(key);
      this.#active.set(key, now);
      this.#metrics.depth(this.#ready.size);
      this.#metrics.waited((now - since) / 1000);
      resolve(key);
    }
  }

  #callOff(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }
}
