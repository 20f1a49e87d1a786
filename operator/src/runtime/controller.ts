import { mayPass } from '@riskmodel/core/errors.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import { makeDeadline } from '../kube/deadline.ts';
import { givingUp } from '../kube/given-up.ts';
import { keyOf } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import type { BackoffOptions } from './backoff.ts';
import { sleep, type Clock } from './clock.ts';
import { noControllerMetrics, type ControllerMetrics, type ReconcileResult } from './controller-metrics.ts';
import { enqueueOwner, enqueueSelf, type MapToKeys } from './owner.ts';
import type { Predicate } from './predicates.ts';
import { isEveryday, isPanic, retryDelayMs } from './retry-delay.ts';
import type { ReadonlyStore, Store, StoreEvent } from './store.ts';
import type { QueueMetrics } from './work-queue-metrics.ts';
import { WorkQueue } from './work-queue.ts';

/** A type whose changes make keys due, and which keys. */
export interface Watch {
  type: ResourceType;
  map: MapToKeys;
  /** Which changes count; all of them when absent. */
  predicate?: Predicate | undefined;
}

/** When to look at a key again, though nothing changes. */
export interface Requeue {
  requeueAfterMs?: number | undefined;
}

/**
 * Makes the world as the object of this key says, from the state there is, whatever brought it about.
 * @param key `NAMESPACE/NAME`; the object may be gone.
 * @param signal aborted when the program must stop, or when the reconcile takes too long. Requests to the API server are
 * given up with it by themselves.
 */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<Requeue | void>;

export interface ControllerOptions {
  name: string;
  /** The type whose objects are reconciled. */
  for: ResourceType;
  /** Which changes of it count. */
  predicate?: Predicate;
  /** Types whose objects are controlled by one of `for`. */
  owns?: (ResourceType | { type: ResourceType; predicate: Predicate })[];
  /** Other types. */
  watches?: Watch[];
  reconcile: Reconcile;
  /** How many keys are worked on at a time. */
  concurrency?: number;
  backoff?: BackoffOptions;
  /** A reconcile that takes longer has its signal aborted. Its key is not handed out before it ends. */
  timeoutMs?: number;
}

export interface ControllerDeps {
  clock: Clock;
  logger: Logger;
  metrics?: ControllerMetrics;
  queueMetrics?: QueueMetrics;
}

export const defaultConcurrency = 4;
const defaultTimeoutMs = 120_000;

/** Turns changes into keys and has each key reconciled, one worker a key, until that succeeds. */
export class Controller {
  readonly name: string;
  readonly watches: readonly Watch[];
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #logger: Logger;
  readonly #metrics: ControllerMetrics;

  constructor(options: ControllerOptions, { clock, logger, metrics, queueMetrics }: ControllerDeps) {
    this.name = options.name;
    this.watches = watchesOf(options);
    this.#options = options;
    this.#logger = logger.child({ controller: options.name });
    this.#metrics = metrics ?? noControllerMetrics;
    this.#queue = new WorkQueue({
      clock,
      ...(queueMetrics ? { metrics: queueMetrics } : {}),
      ...(options.backoff ? { backoff: options.backoff } : {}),
    });
  }

  /** Makes a key due. */
  enqueue(key: string): void {
    this.#queue.add(key);
  }

  /** Makes every object of the type due, from the cache alone. */
  enqueueAll(store: ReadonlyStore): void {
    for (const object of store.list()) for (const key of enqueueSelf(object)) this.#queue.add(key);
  }

  /**
   * Works until the signal is aborted, and then until what was begun has ended.
   * @param storeOf the caches, which are synced.
   * @param abandon aborted when what was begun must end too.
   */
  async run(storeOf: (type: ResourceType) => Store, signal: AbortSignal, abandon: AbortSignal): Promise<void> {
    const unsubscribe = this.watches.map((watch) => storeOf(watch.type).subscribe((event) => this.#take(event, watch)));
    const stop = (): void => this.#queue.shutDown();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const workers = Array.from({ length: this.#options.concurrency ?? defaultConcurrency }, () => this.#work(abandon));
    await Promise.all(workers);
    signal.removeEventListener('abort', stop);
    for (const end of unsubscribe) end();
  }

  #take(event: StoreEvent, watch: Watch): void {
    try {
      for (const key of dueKeys(event, watch)) this.#queue.add(key);
    } catch (error) {
      // The cache must go on for all the others.
      this.#metrics.panicked();
      this.#logger.error({ key: keyOf(event.object.metadata), err: error }, 'a change could not be told to anybody');
    }
  }

  async #work(abandon: AbortSignal): Promise<void> {
    for (let key = await this.#queue.take(); key !== undefined; key = await this.#queue.take()) {
      try {
        await this.#reconcile(key, abandon);
      } finally {
        this.#queue.done(key);
      }
    }
  }

  async #reconcile(key: string, abandon: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    const deadline = makeDeadline(this.#options.timeoutMs ?? defaultTimeoutMs, abandon);
    let result: ReconcileResult = 'success';
    this.#metrics.started();
    try {
      const requeue = await givingUp(deadline.signal, () => this.#options.reconcile(key, deadline.signal));
      this.#queue.forget(key);
      if (requeue?.requeueAfterMs !== undefined) {
        result = 'requeue_after';
        this.#queue.addAfter(key, requeue.requeueAfterMs);
      }
    } catch (error) {
      result = 'error';
      this.#fail(key, error, deadline.signal.aborted && !abandon.aborted);
    } finally {
      deadline.release();
      this.#metrics.ended(result, (performance.now() - startedAt) / 1000);
    }
  }

  #fail(key: string, error: unknown, isTimeout: boolean): void {
    if (isTimeout) this.#metrics.timedOut();
    if (isPanic(error)) this.#metrics.panicked();
    if (!mayPass(error)) this.#metrics.terminalError();
    let waitMs = 0;
    this.#queue.retry(key, (backoffMs) => (waitMs = retryDelayMs(error, backoffMs)));
    // The key says which object; the object itself stays out of the log, as it may hold what is nobody's business.
    const level = isEveryday(error) ? 'info' : 'error';
    this.#logger[level]({ key, err: error, waitMs: Math.round(waitMs) }, 'reconcile failed; trying again');
  }
}

/** Makes every object due now and then, though nothing changed, in case something was missed. Reads no API. */
export async function resync(
  controller: Controller,
  store: ReadonlyStore,
  periodMs: number,
  { clock, random }: { clock: Clock; random: () => number },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(clock, periodMs * (1 + random() / 10), signal);
    if (!signal.aborted) controller.enqueueAll(store);
  }
}

/** Each key once: adding one may hand it out at once, and adding it again would have it done twice. */
function dueKeys(event: StoreEvent, { map, predicate }: Watch): Set<string> {
  if (predicate !== undefined && !predicate(event)) return new Set();
  // An object that changed hands concerns the one it was taken from too.
  const before = event.type === 'updated' ? map(event.old) : [];
  return new Set([...before, ...map(event.object)]);
}

function watchesOf(options: ControllerOptions): Watch[] {
  const { for: type, predicate, owns = [], watches = [] } = options;
  const ownedMap = enqueueOwner(type);
  return [
    { type, map: enqueueSelf, predicate },
    ...owns.map((owned) => ('type' in owned ? { ...owned, map: ownedMap } : { type: owned, map: ownedMap })),
    ...watches,
  ];
}
