import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RiskModelError } from '../../errors.ts';
import { convertModel } from './convert.ts';

const folder = join(import.meta.dirname, '..', '..', '..', '..', 'test', 'fixtures', 'trees');

function fixture(file: string): Uint8Array {
  return readFileSync(join(folder, file));
}

test.each([
  ['xgboost-categorical.json', 'splits the feature late_payments by categories'],
  ['lightgbm-categorical.txt', 'splits the feature late_payments by categories'],
  ['lightgbm-linear.txt', 'linear_tree'],
])('%s is refused: %s', (file, message) => {
  expect(() => convertModel(fixture(file))).toThrow(
    expect.objectContaining({ code: 'UnsupportedModel', message: expect.stringContaining(message) }),
  );
});

test('an array without an end, which takes some readers of UBJSON all memory, is an error with its position', () => {
  expect(() => convertModel(Buffer.from('{U\u0001a[T', 'latin1'))).toThrow('ends too early (at byte 6 of 6)');
});

test.each(['xgboost-depth-3.json', 'xgboost-dart.ubj', 'lightgbm-nan.txt'])(
  '%s, cut off or with other bytes: a model, or an error that says what is wrong',
  (file) => {
    const bytes = fixture(file);
    const position = fc.nat({ max: bytes.length - 1 });
    const changes = fc.array(fc.tuple(position, fc.nat({ max: 255 })), { maxLength: 3 });
    fc.assert(
      fc.property(changes, fc.option(position), (changed, end) => {
        const damaged = Uint8Array.from(bytes);
        for (const [at, byte] of changed) damaged[at] = byte;
        try {
          convertModel(damaged.subarray(0, end ?? damaged.length));
        } catch (error) {
          expect(error).toBeInstanceOf(RiskModelError);
        }
      }),
      { numRuns: 150, seed: 1 },
    );
  },
);
