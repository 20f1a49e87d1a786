/** What a caller may do about an error: `never` repeats in vain (bad input), `later` may pass (I/O, a busy service). */
export type RetryPolicy = 'never' | 'later';

/**
 * An error that a person or a program is meant to act on: a stable `code` (UpperCamelCase, as Kubernetes' reasons),
 * a message that names what failed and what to do, and whether trying again can help. Messages never hold the values
 * of applicants' features.
 */
export class RiskModelError extends Error {
  readonly code: string;
  readonly retry: RetryPolicy;

  constructor(code: string, message: string, options: { retry?: RetryPolicy; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RiskModelError';
    this.code = code;
    this.retry = options.retry ?? 'never';
  }
}

/** Whether trying the same thing again may succeed. Errors that nobody classified are taken for passing ones. */
export function mayPass(error: unknown): boolean {
  return !(error instanceof RiskModelError) || error.retry === 'later';
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
