import { RiskModelError, messageOf } from '../errors.ts';
import { parseGsUri } from './object-store.ts';

/** The permission of Google Cloud's IAM that an operation on an object needs. */
export type StoragePermission =
  | 'storage.objects.get'
  | 'storage.objects.create'
  | 'storage.objects.list'
  | 'storage.objects.delete';

/** A role with the permission and little else. */
const roles: Record<StoragePermission, string> = {
  'storage.objects.get': 'roles/storage.objectViewer',
  'storage.objects.list': 'roles/storage.objectViewer',
  'storage.objects.create': 'roles/storage.objectUser',
  'storage.objects.delete': 'roles/storage.objectUser',
};

/** Errors of the system's calls that tell of this machine's disk: no server's mood, and no network's. */
const diskErrors = new Set(['EACCES', 'EDQUOT', 'EISDIR', 'EMFILE', 'ENOENT', 'ENOSPC', 'ENOTDIR', 'EPERM', 'EROFS']);

/** The HTTP status that an error of Google's clients carries: as `code`, `status`, or that of its `response`. */
export function statusOf(error: unknown): number | undefined {
  const { code, status, response } = error as { code?: unknown; status?: unknown; response?: { status?: unknown } };
  return [code, status, response?.status].map(Number).find((number) => number >= 100 && number < 600);
}

/**
 * Whether the same call may succeed when made again soon. An answer says so by its status; a call without one (a
 * connection that was refused, reset or cut off, an answer that came late or incomplete) may always.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof RiskModelError) return error.retry === 'later';
  const status = statusOf(error);
  if (status !== undefined) return status === 408 || status === 429 || status >= 500;
  return !diskErrors.has(String((error as NodeJS.ErrnoException).code));
}

/**
 * An error of Google's client as one of ours. Those of this machine's disk stay as they are.
 *
 * @returns RiskModelError `PermissionDenied`, `BucketNotFound`, `StorageUnavailable` (may pass) or `StorageRefused`
 */
export function storageError(cause: unknown, uri: string, permission: StoragePermission): unknown {
  if (cause instanceof RiskModelError || diskErrors.has(String((cause as NodeJS.ErrnoException).code))) return cause;
  const { bucket } = parseGsUri(uri, { pathMayBeEmpty: true });
  switch (statusOf(cause)) {
    case 401:
    case 403:
      return new RiskModelError(
        'PermissionDenied',
        `${uri}: access denied; the program's service account needs ${permission} on the bucket ${bucket}, such as by ${roles[permission]}`,
        { cause },
      );
    case 404:
      return new RiskModelError('BucketNotFound', `${uri}: there is no bucket ${bucket}`, { cause });
    default:
  }
  if (isTransient(cause)) {
    return new RiskModelError(
      'StorageUnavailable',
      `${uri}: Cloud Storage does not answer as it should: ${why(cause)}`,
      {
        retry: 'later',
        cause,
      },
    );
  }
  return new RiskModelError('StorageRefused', `${uri}: Cloud Storage refuses the request: ${why(cause)}`, { cause });
}

/** The first line of what the client says: what follows may be a whole page. */
function why(error: unknown): string {
  const status = statusOf(error);
  const line = messageOf(error).trim().split('\n')[0]?.slice(0, 200) ?? '';
  return status === undefined ? line : `${status} ${line}`.trim();
}
