import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { featureOfText } from './feature-table.ts';

test.each([
  ['Number', '24000', 24_000],
  ['Number', ' 2.4e4 ', 24_000],
  ['Integer', '-3', -3],
  ['Boolean', 'TRUE', true],
  ['Boolean', 'false', false],
  ['Boolean', '1', 1],
  ['Number', 'true', 'true'],
  ['Number', '', ''],
  ['Number', '0x10', '0x10'],
  ['Number', 'Infinity', 'Infinity'],
  ['Number', '1e', '1e'],
  ['Number', '1_000', '1_000'],
] as const)('%s %j is read as %j', (type, text, value) => {
  expect(featureOfText({ name: 'A', type, whenMissing: 'Reject' }, text)).toBe(value);
});

test('every number comes back as it was written, to the last bit', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      // The encoder and the model make no difference between 0 and -0.
      expect(featureOfText({ name: 'A', type: 'Number', whenMissing: 'Reject' }, String(value))).toBe(value + 0);
    }),
  );
});
