import { messageOf, RiskModelError } from '../errors.ts';

/** What BigQuery's API and its jobs say is wrong (`ErrorProto`). */
export interface ErrorProto {
  reason?: string;
  message?: string;
  /** Where: a field, an object's URI, a place in a query. */
  location?: string;
}

/**
 * A call or a job that failed.
 *
 * https://cloud.google.com/bigquery/docs/error-messages
 */
export interface Failure extends ErrorProto {
  /** HTTP's; undefined when no answer came, and of jobs. */
  status?: number;
  cause?: unknown;
}

/** Reasons that have nothing to do with what was asked for. */
const passingReasons = new Set([
  'backendError',
  'internalError',
  'jobBackendError',
  'jobInternalError',
  'rateLimitExceeded',
  'jobRateLimitExceeded',
  'tableUnavailable',
]);

const passingStatuses = new Set([408, 429, 500, 502, 503, 504]);

/** What the client library threw, as BigQuery said it. */
export function failureOf(error: unknown): Failure {
  const { code, errors } = error as { code?: unknown; errors?: ErrorProto[] };
  const [proto] = errors ?? [];
  return {
    message: proto?.message ?? messageOf(error),
    ...(typeof code === 'number' && { status: code }),
    ...(proto?.reason !== undefined && { reason: proto.reason }),
    ...(proto?.location !== undefined && { location: proto.location }),
    cause: error,
  };
}

/**
 * Whether the same may succeed in seconds. No answer, and an answer that could not be read, say nothing about what was
 * asked for; an exceeded quota takes hours.
 */
export function isPassing({ status, reason, message }: Failure): boolean {
  if (reason !== undefined && passingReasons.has(reason)) return true;
  if (reason === 'quotaExceeded' || isMissingCredentials(message)) return false;
  return status === undefined ? reason === undefined : status < 400 || passingStatuses.has(status);
}

/** The error that a person gets to see. @param action what was to be done, such as `reading table a.b.c` */
export function explainFailure(action: string, failure: Failure, needed: string): RiskModelError {
  const { reason, location, status, cause } = failure;
  const what = reason ?? (status === undefined ? undefined : `HTTP ${status}`);
  const details = [what, withoutValues(failure.message), location === undefined ? undefined : `at ${location}`];
  const said = `${action}: ${details.filter((part) => part !== undefined && part !== '').join(': ')}`;
  if (isMissingCredentials(failure.message)) {
    return new RiskModelError(
      'NoCredentials',
      `${said}; give the program an account (Workload Identity on GKE, "gcloud auth application-default login" elsewhere)`,
      { cause },
    );
  }
  if (reason === 'quotaExceeded') {
    return new RiskModelError(
      'QuotaExceeded',
      `${said}; a quota of the project is used up: see it in the console under IAM & Admin, Quotas`,
      { retry: 'later', cause },
    );
  }
  if (reason === 'accessDenied' || status === 403 || status === 401) {
    return new RiskModelError('AccessDenied', `${said}; the program's account needs ${needed}`, { cause });
  }
  if (isPassing(failure)) return new RiskModelError('BigQueryUnavailable', said, { retry: 'later', cause });
  return new RiskModelError(reason === 'notFound' ? 'NotFound' : 'BigQueryError', said, { cause });
}

/** google-auth-library has no code for it. */
function isMissingCredentials(message: string | undefined): boolean {
  return /Could not load the default credentials|Unable to detect a Project Id/.test(message ?? '');
}

/** Some of BigQuery's messages quote the value that does not fit, which may be an applicant's. */
function withoutValues(message: string | undefined): string | undefined {
  return message?.replaceAll(/(\bvalue:? )(?:'[^']*'|"[^"]*"|[^\s'";,]+)/gi, '$1...');
}
