/** Lets a few writes be under way at once: enough that neither side waits, few enough that memory is bounded. */
export class InFlight {
  readonly #limit: number;
  readonly #pending: Promise<unknown>[] = [];

  constructor(limit = 4) {
    this.#limit = limit;
  }

  /** Takes a write that was begun; resolves when another one may begin. Throws what an earlier one failed with. */
  async add(write: Promise<unknown>): Promise<void> {
    // Its failure is told when its turn comes; nobody listens until then.
    write.catch(() => {});
    this.#pending.push(write);
    if (this.#pending.length >= this.#limit) await this.#pending.shift();
  }

  /** Resolves when all writes are done. */
  async end(): Promise<void> {
    await Promise.all(this.#pending.splice(0));
  }
}
