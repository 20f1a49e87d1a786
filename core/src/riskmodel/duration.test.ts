import { expect, test } from '@jest/globals';
import { parseDuration } from './duration.ts';

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['0s', 0],
])('%s is %d ms', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.each(['', '30', 's', '1d', '-1s', '1.5s', '30s '])('"%s" is no duration', (text) => {
  expect(() => parseDuration(text)).toThrow(`Cannot read "${text}" as a duration such as 30s or 5m`);
});
