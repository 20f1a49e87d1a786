import { expect, test } from '@jest/globals';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import { KubeError } from '../kube/kube-error.ts';
import { isEveryday, isPanic, retryDelayMs } from './retry-delay.ts';

const minute = 60_000;

test.each([
  ['an error nobody classified', new Error('x'), 800, 800],
  ['a conflict', new KubeError(409, 'Conflict', 'x'), 800, 800],
  ['a server that is away, in the end', new KubeError(0, undefined, 'x'), minute, 5_000],
  ['a server that is away, at first', new KubeError(0, undefined, 'x'), 100, 100],
  ['a server that asks for time', new KubeError(429, undefined, 'x', { retryAfterMs: 7_000 }), 100, 7_000],
  ['a server that asks for less than the backoff', new KubeError(429, undefined, 'x', { retryAfterMs: 1 }), 100, 100],
  ['what the server will never take', new KubeError(422, 'Invalid', 'x'), 100, 300_000],
  ['what no repetition cures', new RiskModelError('Broken', 'x'), 100, 300_000],
  ['what may pass', new RiskModelError('Away', 'x', { retry: 'later' }), 100, 100],
])('after %s', (_, error, backoffMs, expected) => {
  expect(retryDelayMs(error, backoffMs)).toBe(expected);
});

test.each([
  ['a mistake of the program', new TypeError('x is not a function'), { isPanic: true, isEveryday: false }],
  ['a lost race', new KubeError(409, 'Conflict', 'x'), { isPanic: false, isEveryday: true }],
  ['a server that is away', new KubeError(503, undefined, 'x'), { isPanic: false, isEveryday: true }],
  ['a missing role', new KubeError(403, undefined, 'x'), { isPanic: false, isEveryday: false }],
])('%s is told as what it is', (_, error, expected) => {
  expect({ isPanic: isPanic(error), isEveryday: isEveryday(error) }).toEqual(expected);
});
