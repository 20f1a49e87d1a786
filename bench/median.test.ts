import { expect, test } from '@jest/globals';
import { median } from './median.ts';

test.each<[number[], number]>([
  [[3], 3],
  [[9, 1, 5], 5],
  [[10, 9, 1, 2], 5.5],
  [[], Number.NaN],
])('%j: %p', (values, expected) => {
  expect(median(values)).toBe(expected);
});
