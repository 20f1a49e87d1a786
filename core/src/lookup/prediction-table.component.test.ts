import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { encodeScore, scoreBytes, type PredictionSource } from './prediction-entry.ts';
import { PredictionTable } from './prediction-table.ts';

const hour = 3_600_000;
const start = Date.now();
const older: PredictionSource = {
  batchId: '00000000-0000-4000-8000-000000000001',
  modelVersion: '1',
  predDatetime: new Date(start - 1_000).toISOString(),
};
const newer: PredictionSource = {
  batchId: '00000000-0000-4000-8000-000000000002',
  modelVersion: 'v2 ü',
  predDatetime: new Date(start).toISOString(),
};

let redis: Redis;
let prefix: string;
let table: PredictionTable;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string);
});

afterAll(() => redis.quit());

beforeEach(() => {
  prefix = `test-${randomUUID()}`;
  table = new PredictionTable(redis, prefix);
});

/** Writes records given as identifier and prob_1. */
async function write(source: PredictionSource, records: [id: string, prob1: number][], ttl = hour): Promise<void> {
  const scores = Buffer.alloc(records.length * scoreBytes);
  for (const [index, [, prob1]] of records.entries()) encodeScore(scores, index, 1 - prob1, prob1, prob1 > 0.5 ? 1 : 0);
  await table.write('credit', source, ttl, { ids: records.map(([id]) => id), scores });
}

async function prob1Of(id: string): Promise<number | undefined> {
  return (await table.get('credit', id))?.prob1;
}

test('a prediction is found under its identifier, whatever characters that has, and no other', async () => {
  await write(newer, [
    ['a', 0.25],
    ['ä:*/ b\n', 0.75],
  ]);
  expect(await table.get('credit', 'ä:*/ b\n')).toEqual({ ...newer, prob0: 0.25, prob1: 0.75, decision: 1 });
  expect(await table.get('credit', 'a')).toEqual({ ...newer, prob0: 0.75, prob1: 0.25, decision: 0 });
  expect(await table.get('credit', 'b')).toBeUndefined();
  expect(await table.get('other', 'a')).toBeUndefined();
});

describe('the newest prediction of a record stays', () => {
  test('also when an older batch is written late', async () => {
    await write(newer, [['a', 0.75]]);
    await write(older, [
      ['a', 0.25],
      ['b', 0.25],
    ]);
    expect([await prob1Of('a'), await prob1Of('b')]).toEqual([0.75, 0.25]);
  });

  test('and takes the place of an older one', async () => {
    await write(older, [['a', 0.25]]);
    await write(newer, [['a', 0.75]]);
    expect(await prob1Of('a')).toBe(0.75);
  });

  test('two batches of the same millisecond come to the same in either order', async () => {
    const rival = { ...newer, batchId: '00000000-0000-4000-8000-0000000000ff' };
    await write(newer, [['a', 0.75]]);
    await write(rival, [
      ['a', 0.5],
      ['b', 0.5],
    ]);
    await write(newer, [['b', 0.75]]);
    expect([await prob1Of('a'), await prob1Of('b')]).toEqual([0.5, 0.5]);
  });

  test('of two records of one batch with the same identifier the later one, again and again', async () => {
    for (let time = 0; time < 2; time++) {
      await write(newer, [
        ['a', 0.25],
        ['a', 0.5],
      ]);
      expect(await prob1Of('a')).toBe(0.5);
    }
  });
});

test('a prediction goes its time after it was made, not after it was written', async () => {
  await write(older, [['a', 0.25]], 500);
  expect(await prob1Of('a')).toBeUndefined();
  await write(newer, [['b', 0.25]], hour);
  expect(await redis.pexpiretime(`${prefix}:lookup:credit:b`)).toBe(start + hour);
});
