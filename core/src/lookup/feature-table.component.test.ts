import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { FeatureTable } from './feature-table.ts';

let redis: Redis;
let table: FeatureTable;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string);
  table = new FeatureTable(redis, `test-${randomUUID()}:`);
});

afterAll(() => redis.quit());

test('features are written beside those that a record has, and null takes one away', async () => {
  await table.write({
    ids: ['a', 'b'],
    names: ['AGE', 'INCOME'],
    values: [
      [30, 0.1],
      [40, null],
    ],
  });
  await table.write({ ids: ['a'], names: ['SEX', 'AGE'], values: [[2, null]] });
  expect(await table.read('a', ['AGE', 'SEX', 'INCOME'])).toEqual([null, '2', '0.1']);
  expect(await table.read('b', ['AGE', 'INCOME'])).toEqual(['40', null]);
  expect(await table.read('nobody', ['AGE'])).toEqual([null]);
});

test('a key that is no hash is told', async () => {
  const prefix = `test-${randomUUID()}:`;
  await redis.set(`${prefix}a`, 'text');
  const write = new FeatureTable(redis, prefix).write({ ids: ['b', 'a'], names: ['AGE'], values: [[30], [40]] });
  await expect(write).rejects.toThrow('WRONGTYPE');
});
