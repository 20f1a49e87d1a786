import { describe, expect, test } from '@jest/globals';
import {
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isInvalid,
  isNotFound,
  isTooManyRequests,
  isUnreachable,
  KubeError,
} from './kube-error.ts';

const predicates = {
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isInvalid,
  isNotFound,
  isTooManyRequests,
  isUnreachable,
};

test.each([
  [0, undefined, 'Unreachable', 'later', ['isUnreachable']],
  [400, undefined, 'BadRequest', 'never', []],
  [401, undefined, 'Unauthorized', 'later', []],
  [403, 'Forbidden', 'Forbidden', 'later', ['isForbidden']],
  [404, 'NotFound', 'NotFound', 'later', ['isNotFound']],
  [409, 'Conflict', 'Conflict', 'later', ['isConflict']],
  [409, 'AlreadyExists', 'AlreadyExists', 'later', ['isAlreadyExists']],
  [410, 'Gone', 'Gone', 'later', ['isExpired']],
  [422, 'Invalid', 'Invalid', 'never', ['isInvalid']],
  [429, undefined, 'TooManyRequests', 'later', ['isTooManyRequests']],
  [500, undefined, 'InternalError', 'later', []],
  [503, undefined, 'ServiceUnavailable', 'later', ['isUnreachable']],
  [599, undefined, 'Http599', 'later', []],
])('status %d with reason %s is %s, to be repeated %s', (status, reason, code, retry, holding) => {
  const error = new KubeError(status, reason, 'x');
  expect(error).toMatchObject({ status, code, reason: code, retry });
  const names = Object.entries(predicates).filter(([, predicate]) => predicate(error));
  expect(names.map(([name]) => name)).toEqual(holding);
});

test('other errors are none of them', () => {
  expect(Object.values(predicates).some((predicate) => predicate(new Error('404')))).toBe(false);
});

describe("a server's Status", () => {
  test('is told with what was being done', () => {
    const error = KubeError.ofStatus(
      { kind: 'Status', code: 404, reason: 'NotFound', message: 'no pods "p"' },
      'get p',
    );
    expect(error).toMatchObject({ message: 'get p: no pods "p"', status: 404, retryAfterMs: undefined });
  });

  test.each([
    ['in its details', undefined, 3000],
    ['in a header, which is nearer', 500, 500],
  ])('may say how long to wait %s', (_, header, expected) => {
    const status = { kind: 'Status', code: 429, details: { retryAfterSeconds: 3 } } as const;
    expect(KubeError.ofStatus(status, 'list', header).retryAfterMs).toBe(expected);
  });
});
