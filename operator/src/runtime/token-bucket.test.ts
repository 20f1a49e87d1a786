import { expect, test } from '@jest/globals';
import { TokenBuckets } from './token-bucket.ts';

const options = { burst: 2, refillMs: 100, maxKeys: 2 };

test('each key may do so much at once, and then one in a while', () => {
  const buckets = new TokenBuckets(options);
  const taken = [0, 0, 0, 99, 100, 101, 200].map((now) => buckets.take('a', now));
  expect(taken).toEqual([true, true, false, false, true, false, true]);
  expect(buckets.take('b', 0)).toBe(true);
});

test('a key that is not used does not save up beyond the burst', () => {
  const buckets = new TokenBuckets(options);
  buckets.take('a', 0);
  const taken = [10_000, 10_000, 10_000].map((now) => buckets.take('a', now));
  expect(taken).toEqual([true, true, false]);
});

test('memory is bounded: the key unused for longest is forgotten', () => {
  const buckets = new TokenBuckets(options);
  buckets.take('a', 0);
  buckets.take('a', 0);
  expect(buckets.take('a', 0)).toBe(false);
  buckets.take('b', 0);
  buckets.take('c', 0);
  expect(buckets.take('a', 0)).toBe(true);
});
