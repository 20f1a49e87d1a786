import { messageOf } from '../errors.ts';
import { parseGsUri } from './object-store.ts';

const longestPathBytes = 1024;
const longestLabel = 63;

/**
 * Why no bucket can have an object of this URI, or undefined: what the CRDs' pattern leaves open, as Cloud Storage's
 * rules for names have it.
 * @param uri `gs://BUCKET/PATH`; one of another scheme is no matter of this function.
 */
export function findUriProblem(uri: string): string | undefined {
  if (!uri.startsWith('gs://')) return undefined;
  let parts: ReturnType<typeof parseGsUri>;
  try {
    parts = parseGsUri(uri);
  } catch (error) {
    return messageOf(error);
  }
  return findBucketProblem(parts.bucket) ?? findPathProblem(parts.path);
}

function findBucketProblem(bucket: string): string | undefined {
  const quoted = JSON.stringify(bucket);
  if (/\.\.|\.-|-\./.test(bucket))
    return `must have a "." in its bucket's name only between letters or digits: ${quoted}`;
  if (/^\d+(\.\d+){3}$/.test(bucket)) return `must not have an IP address for a bucket's name: ${quoted}`;
  if (bucket.split('.').some((label) => label.length > longestLabel)) {
    return `must have a bucket's name with at most ${longestLabel} characters between its dots: ${quoted}`;
  }
  if (bucket.startsWith('goog')) return `must not have a bucket's name that begins with "goog": ${quoted}`;
  return undefined;
}

function findPathProblem(path: string): string | undefined {
  if (path.split('/').some((part) => part === '.' || part === '..')) {
    return 'must not have "." or ".." as a part of its path: it would lead out of the bucket';
  }
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'must not have control characters in its path';
  if (Buffer.byteLength(path) > longestPathBytes) {
    return `must have a path of at most ${longestPathBytes} bytes, not ${Buffer.byteLength(path)}`;
  }
  return undefined;
}
