import { setTimeout as sleep } from 'node:timers/promises';

/** How calls over a network are made again. */
export interface RetrySettings {
  /** How often a call is made at most. */
  attempts: number;
  /** Milliseconds before the second attempt; each further pause is twice as long, up to `longestPause`. */
  firstPause: number;
  longestPause: number;
}

/** Bridges over half a minute; what takes longer is for the queue's own, longer pauses. */
export const defaultRetry: RetrySettings = { attempts: 7, firstPause: 250, longestPause: 8_000 };

/** Milliseconds to wait after the given number of failures in a row, at random so that many who fail at once spread out. */
export function pauseAfter(failures: number, { firstPause, longestPause }: RetrySettings): number {
  const longest = Math.min(longestPause, firstPause * 2 ** (failures - 1));
  return longest * (0.5 + Math.random() / 2);
}

/** Does `work` until it succeeds, fails for good, or has failed too often; fails as it did last. */
export async function withRetries<T>(
  work: () => Promise<T>,
  isTransient: (error: unknown) => boolean,
  settings: RetrySettings,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (failures >= settings.attempts || !isTransient(error)) throw error;
      await sleep(pauseAfter(failures, settings));
    }
  }
}
