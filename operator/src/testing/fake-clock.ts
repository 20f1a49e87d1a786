import type { Clock } from '../runtime/clock.ts';

/** Time that passes only when told to, timer by timer, each with the microtasks it sets off. */
export class FakeClock implements Clock {
  #now: number;
  #timers: { at: number; callback: () => void }[] = [];

  constructor(now = Date.UTC(2025, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** How many timers are waiting. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Lets time pass without a timer firing, as it does for a process that is frozen. */
  freeze(ms: number): void {
    this.#now += ms;
  }

  /** Lets that much time pass. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets promises that are settled run on. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
