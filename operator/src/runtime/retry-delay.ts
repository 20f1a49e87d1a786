import { mayPass } from '@riskmodel/core/errors.ts';
import { isConflict, isUnreachable, KubeError } from '../kube/kube-error.ts';

/** While the server is away everything fails; its return should be noticed soon, however long that took. */
export const unreachableMs = 5_000;
/** An error that repeating does not cure is looked at again now and then, since what it is about may change unseen. */
export const hopelessMs = 300_000;

/**
 * How long to leave a key alone whose reconcile failed.
 * @param backoffMs what its failures in a row call for.
 */
export function retryDelayMs(error: unknown, backoffMs: number): number {
  if (error instanceof KubeError && error.retryAfterMs !== undefined) return Math.max(error.retryAfterMs, backoffMs);
  if (isUnreachable(error)) return Math.min(backoffMs, unreachableMs);
  return mayPass(error) ? backoffMs : hopelessMs;
}

/** Whether the error is the program's own mistake, rather than what was wrong with a request or an object. */
export function isPanic(error: unknown): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
}

/** Whether the error is part of working beside others, so that one is not worth a warning. */
export function isEveryday(error: unknown): boolean {
  return isConflict(error) || isUnreachable(error);
}
