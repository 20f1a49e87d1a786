import { expect, test } from '@jest/globals';
import { commitPause } from './queue.ts';

test.each([
  [1, 1_000],
  [2, 2_000],
  [8, 128_000],
  [9, 256_000],
  [10, 300_000],
  [5_000, 300_000],
])('after %d failures a commit waits for between half and all of %d ms', (failures, longest) => {
  const pauses = Array.from({ length: 200 }, () => commitPause(failures));
  expect(Math.max(...pauses)).toBeLessThanOrEqual(longest);
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(longest / 2);
});
