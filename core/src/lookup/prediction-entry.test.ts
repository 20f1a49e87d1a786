import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeEntry, encodeHead, encodeScore, scoreBytes } from './prediction-entry.ts';

const source = {
  batchId: '8ec77c88-4c95-4b85-a83d-3991867218bb',
  modelVersion: '1',
  predDatetime: '2026-11-24T07:12:44.042Z',
};

test('an entry is read as it was written, to the last bit', () => {
  fc.assert(
    fc.property(
      fc.float({ min: 0, max: 1, noNaN: true }),
      fc.float({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom(0 as const, 1 as const),
      fc.uuid(),
      fc.string(),
      fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
      (prob0, prob1, decision, batchId, modelVersion, date) => {
        const predDatetime = date.toISOString();
        const scores = Buffer.alloc(2 * scoreBytes);
        encodeScore(scores, 1, prob0, prob1, decision);
        const head = encodeHead({ batchId, modelVersion, predDatetime });
        const entry = Buffer.concat([head, scores.subarray(scoreBytes), Buffer.from(modelVersion)]);
        const version = Buffer.from(modelVersion).toString();
        expect(decodeEntry(entry)).toEqual({ prob0, prob1, decision, batchId, modelVersion: version, predDatetime });
      },
    ),
  );
});

test('heads compare as the moments do, and then as the batches', () => {
  const heads = [
    { ...source, predDatetime: '2026-11-23T23:59:59.999Z', batchId: 'ffffffff-4c95-4b85-a83d-3991867218bb' },
    { ...source, batchId: '7fffffff-4c95-4b85-a83d-3991867218bb' },
    { ...source, batchId: '80000000-4c95-4b85-a83d-3991867218bb' },
    { ...source, predDatetime: '2026-11-24T07:12:44.043Z', batchId: '00000000-4c95-4b85-a83d-3991867218bb' },
  ].map(encodeHead);
  expect(heads.toSorted((a, b) => Buffer.compare(a, b))).toEqual(heads);
});

test('bytes that are no entry are none', () => {
  expect(decodeEntry(Buffer.alloc(30))).toBeUndefined();
});

test('a batch that is no UUID is refused', () => {
  expect(() => encodeHead({ ...source, batchId: 'monday' })).toThrow('must be a UUID: "monday"');
});
