import { RiskModelError, type RetryPolicy } from '@riskmodel/core/errors.ts';

/** What the API server sends instead of an object; see `metav1.Status`. */
export interface Status {
  kind: 'Status';
  message?: string;
  reason?: string;
  code?: number;
  details?: { retryAfterSeconds?: number; causes?: { reason?: string; message?: string; field?: string }[] };
}

/** Statuses that say the request itself is wrong: the same request gets the same answer. */
const wrongRequest = new Set([400, 405, 406, 413, 415, 422]);

/** Reasons for answers that carry none, such as those of a load balancer in between. */
const reasonByStatus: Record<number, string> = {
  0: 'Unreachable',
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  408: 'Timeout',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

interface KubeErrorOptions {
  /** How long the server asked to be left alone. */
  retryAfterMs?: number;
  cause?: unknown;
}

/**
 * A request to the API server that failed. `status` is the HTTP status, or 0 when no answer came; `code` is
 * Kubernetes' own reason (`Conflict`, `NotFound`, `AlreadyExists`, ...), `Unreachable` or `Timeout`.
 */
export class KubeError extends RiskModelError {
  readonly status: number;
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string | undefined, message: string, options: KubeErrorOptions = {}) {
    const retry: RetryPolicy = wrongRequest.has(status) ? 'never' : 'later';
    super(reason || (reasonByStatus[status] ?? `Http${status}`), message, { retry, cause: options.cause });
    this.name = 'KubeError';
    this.status = status;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** Kubernetes' word for what went wrong; the same as `code`. */
  get reason(): string {
    return this.code;
  }

  /** The error that a `Status` in an answer or in a watch event tells of. */
  static ofStatus(status: Status, action: string, retryAfterMs?: number): KubeError {
    const seconds = status.details?.retryAfterSeconds;
    const message = `${action}: ${status.message || status.reason || `status ${status.code ?? 'unknown'}`}`;
    const wait = retryAfterMs ?? (seconds === undefined ? undefined : seconds * 1000);
    return new KubeError(status.code ?? 500, status.reason, message, wait === undefined ? {} : { retryAfterMs: wait });
  }
}

function hasStatus(error: unknown, ...statuses: number[]): error is KubeError {
  return error instanceof KubeError && statuses.includes(error.status);
}

/** There is no such object, or no such API. */
export function isNotFound(error: unknown): error is KubeError {
  return hasStatus(error, 404);
}

/** Somebody else wrote first, or the field belongs to another manager. */
export function isConflict(error: unknown): error is KubeError {
  return hasStatus(error, 409) && error.reason !== 'AlreadyExists';
}

/** An object of this name is there already. */
export function isAlreadyExists(error: unknown): error is KubeError {
  return hasStatus(error, 409) && error.reason === 'AlreadyExists';
}

/** The role lacks a rule, a quota is used up, or the namespace is going away. */
export function isForbidden(error: unknown): error is KubeError {
  return hasStatus(error, 403);
}

/** The object that was sent is not valid. */
export function isInvalid(error: unknown): error is KubeError {
  return hasStatus(error, 422);
}

/** The resourceVersion or page that was asked for is too old: list anew. */
export function isExpired(error: unknown): error is KubeError {
  return hasStatus(error, 410);
}

/** The server sheds load. */
export function isTooManyRequests(error: unknown): error is KubeError {
  return hasStatus(error, 429);
}

/** No answer came: the server is away, or too slow. The request may have been carried out all the same. */
export function isUnreachable(error: unknown): error is KubeError {
  return hasStatus(error, 0, 502, 503, 504);
}
