import { describe, expect, test } from '@jest/globals';
import { explainFailure, failureOf, isPassing, type Failure } from './bigquery-failure.ts';

describe('what the client throws', () => {
  test('for an answer has its status and BigQuery’s reason, message and place', () => {
    const error = Object.assign(new Error('Not found: Table a'), {
      code: 404,
      errors: [{ reason: 'notFound', message: 'Not found: Table a', location: 'a', domain: 'global' }],
    });
    expect(failureOf(error)).toEqual({
      status: 404,
      reason: 'notFound',
      message: 'Not found: Table a',
      location: 'a',
      cause: error,
    });
  });

  test('for a connection that broke has neither', () => {
    const error = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
    expect(failureOf(error)).toEqual({ message: 'socket hang up', cause: error });
  });
});

describe('whether it passes', () => {
  test.each<[passes: boolean, why: string, failure: Failure]>([
    [true, 'no answer', { message: 'socket hang up' }],
    [true, 'an answer that breaks off', { status: 200, message: 'Unexpected end of JSON input' }],
    [true, 'a front end without a body', { status: 502 }],
    [true, 'an unavailable service', { status: 503, reason: 'backendError' }],
    [true, 'too many requests', { status: 429 }],
    [true, 'too many calls', { status: 403, reason: 'rateLimitExceeded' }],
    [true, 'too many jobs', { status: 400, reason: 'jobRateLimitExceeded' }],
    [true, 'a job that BigQuery lost', { reason: 'backendError' }],
    [true, 'an internal error', { status: 500, reason: 'internalError' }],
    [false, 'a used-up quota', { status: 403, reason: 'quotaExceeded' }],
    [false, 'a used-up quota of a job', { reason: 'quotaExceeded' }],
    [false, 'no permission', { status: 403, reason: 'accessDenied' }],
    [false, 'no such thing', { status: 404, reason: 'notFound' }],
    [false, 'a bad request', { status: 400, reason: 'invalid' }],
    [false, 'bad data', { reason: 'invalid' }],
    [false, 'a cancelled job', { reason: 'stopped' }],
    [false, 'a thing that is there', { status: 409, reason: 'duplicate' }],
    [false, 'a thing that changed', { status: 412, reason: 'conditionNotMet' }],
    [false, 'no credentials', { message: 'Could not load the default credentials. Browse to ...' }],
  ])('%s: %s', (passes, _, failure) => {
    expect(isPassing(failure)).toBe(passes);
  });
});

function explain(failure: Failure): object {
  const { code, message, retry } = explainFailure('loading a.b.c', failure, 'roles/x on a.b');
  return { code, message, retry };
}

describe('the message', () => {
  test.each<[failure: Failure, expected: object]>([
    [
      { status: 403, reason: 'accessDenied', message: 'Access Denied: Table a:b.c: Permission missing' },
      {
        code: 'AccessDenied',
        retry: 'never',
        message:
          "loading a.b.c: accessDenied: Access Denied: Table a:b.c: Permission missing; the program's account needs roles/x on a.b",
      },
    ],
    [
      { status: 403, reason: 'quotaExceeded', message: 'Quota exceeded: too many table update operations' },
      {
        code: 'QuotaExceeded',
        retry: 'later',
        message: expect.stringContaining(
          'loading a.b.c: quotaExceeded: Quota exceeded: too many table update operations; a quota',
        ),
      },
    ],
    [
      { reason: 'invalid', message: 'Error while reading data', location: 'gs://a/b.parquet' },
      {
        code: 'BigQueryError',
        retry: 'never',
        message: 'loading a.b.c: invalid: Error while reading data: at gs://a/b.parquet',
      },
    ],
    [{ status: 503 }, { code: 'BigQueryUnavailable', retry: 'later', message: 'loading a.b.c: HTTP 503' }],
    [
      { message: 'socket hang up' },
      { code: 'BigQueryUnavailable', retry: 'later', message: 'loading a.b.c: socket hang up' },
    ],
    [
      { message: 'Could not load the default credentials. Browse to ...' },
      { code: 'NoCredentials', retry: 'never', message: expect.stringContaining('give the program an account') },
    ],
  ])('of %j', (failure, expected) => {
    expect(explain(failure)).toEqual(expected);
  });

  test.each([
    [`Invalid timestamp value '1066-13-01' in column born`, 'Invalid timestamp value ... in column born'],
    ['Could not convert value: 52000.50, in column income', 'Could not convert value: ..., in column income'],
    ['Bad value "O\'Neil" in column name', 'Bad value ... in column name'],
  ])('of %s holds no value', (message, without) => {
    expect(explain({ reason: 'invalid', message })).toMatchObject({ message: `loading a.b.c: invalid: ${without}` });
  });
});
