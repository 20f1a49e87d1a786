export interface BackoffOptions {
  /** The first wait. */
  baseMs: number;
  /** No wait is longer, jitter included. */
  maxMs: number;
  /** Up to this part is taken off each wait by chance, so that many clients do not come back in step. */
  jitter?: number;
  /** In [0, 1). */
  random?: () => number;
}

/** The wait before the attempt that follows `failures` failures in a row: doubled each time, up to a limit. */
export function backoffMs(
  failures: number,
  { baseMs, maxMs, jitter = 0, random = Math.random }: BackoffOptions,
): number {
  // Beyond 2^52 the power is no exact number any more, and long beyond every limit.
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(0, failures - 1), 52));
  return full * (1 - jitter * random());
}
