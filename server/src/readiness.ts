/** Whether the server should be sent requests, and why not. */
export class Readiness {
  #reason: string | undefined;

  constructor(reason = 'loading the models') {
    this.#reason = reason;
  }

  /** Undefined when ready. */
  get reason(): string | undefined {
    return this.#reason;
  }

  markReady(): void {
    this.#reason = undefined;
  }

  markNotReady(reason: string): void {
    this.#reason = reason;
  }
}
