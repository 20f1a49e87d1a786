import { expect, test } from '@jest/globals';
import { backoffMs } from './backoff.ts';

const options = { baseMs: 100, maxMs: 60_000 };

test.each([
  ['the first is the base', 1, 100],
  ['each is twice the one before', 4, 800],
  ['none is longer than the limit', 20, 60_000],
  ['nor after failing for weeks', 1e9, 60_000],
  ['none is shorter than the base', 0, 100],
])('of the waits, %s', (_, failures, expected) => {
  expect(backoffMs(failures, options)).toBe(expected);
});

test.each([
  [0, 200],
  [0.5, 150],
  [1, 100],
])('chance %d takes up to the given part off', (chance, expected) => {
  expect(backoffMs(2, { ...options, jitter: 0.5, random: () => chance })).toBe(expected);
});
