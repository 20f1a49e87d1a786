import { FeatureEncoder } from '@riskmodel/core/model/features.ts';
import type { Feature } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { exampleRecord, exampleValue } from './example-values.ts';

const bound = fc.option(fc.integer({ min: -1_000, max: 1_000 }), { nil: undefined });

test('an example is always a value that the feature accepts', () => {
  fc.assert(
    fc.property(fc.constantFrom('Integer', 'Number'), bound, bound, (type, one, other) => {
      const [minimum, maximum] = one !== undefined && other !== undefined && one > other ? [other, one] : [one, other];
      const feature = { name: 'x', type, minimum, maximum, whenMissing: 'Reject' } as Feature;
      const encoder = new FeatureEncoder([feature]);
      expect(encoder.encodeRecord(exampleRecord([feature]), new Float32Array(1), 0)).toBeUndefined();
    }),
  );
});

test.each([
  [{ type: 'Categorical', codes: [0, 3, 4] }, 3],
  [{ type: 'Categorical', codes: [-1, 0] }, -1],
  [{ type: 'Boolean' }, false],
  [{ type: 'Integer', minimum: 18, maximum: 120 }, 43],
  [{ type: 'Number', minimum: 0, whenMissing: 'Default', default: 0.5 }, 0.5],
])('%j has the example %j', (feature, value) => {
  expect(exampleValue({ name: 'x', whenMissing: 'Reject', ...feature } as Feature)).toBe(value);
});
