import { describe, expect, test } from '@jest/globals';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import type { LastBatch } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { lastBatchOf, untilNextLook } from './last-batch.ts';

const now = new Date('2025-03-01T10:00:00.000Z');
const running: Batch = {
  id: 'b-2',
  model: 'credit',
  input: 'gs://in/a.csv',
  state: 'scoring',
  rows: { total: null, done: 5, failed: 1 },
  createdAt: now.toISOString(),
  startedAt: now.toISOString(),
  finishedAt: null,
  output: { results: null, metrics: null, rejects: null },
};
const done: Batch = {
  ...running,
  state: 'done',
  rows: { total: 6, done: 5, failed: 1 },
  finishedAt: now.toISOString(),
};
const old: LastBatch = { id: 'b-1', state: 'done' };

describe('the last batch', () => {
  test('is the newest one', () => {
    expect(lastBatchOf(old, running)).toEqual({ id: 'b-2', state: 'scoring', rows: { done: 5, failed: 1 } });
    expect(lastBatchOf(undefined, done)).toEqual({
      id: 'b-2',
      state: 'done',
      rows: { total: 6, done: 5, failed: 1 },
      finishedAt: now.toISOString(),
    });
  });

  test.each<[string, LastBatch | undefined, LastBatch | undefined]>([
    ['stays told of when it had ended', old, old],
    ['is unknown when it had not', { ...old, state: 'scoring' }, undefined],
    ['was none and is none', undefined, undefined],
  ])('whose record is gone %s', (_, before, after) => {
    expect(lastBatchOf(before, undefined)).toEqual(after);
  });
});

describe('the next look is due', () => {
  test.each([
    ['soon while a batch runs', { newest: running, nextDue: undefined }, 5_000],
    ['now and then without one', { newest: done, nextDue: undefined }, 60_000],
    ['when a schedule has come up', { newest: undefined, nextDue: now.getTime() + 10_000 }, 12_000],
    ['no later for a schedule that comes up tomorrow', { newest: running, nextDue: now.getTime() + 86_400_000 }, 5_000],
    ['not at once for a schedule that came up just now', { newest: undefined, nextDue: now.getTime() - 5 }, 1_995],
    ['soon while a schedule waits for a worker', { newest: undefined, nextDue: now.getTime() - 9_000 }, 5_000],
    ['in a while with Redis away', undefined, 15_000],
  ])('%s', (_, batches, ms) => {
    expect(untilNextLook(batches, now)).toBe(ms);
  });
});
