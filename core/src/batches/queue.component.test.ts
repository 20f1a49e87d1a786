import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { BatchState } from './batch.ts';
import { BatchStore } from './batch-store.ts';
import { batchIdOf, openQueue, submitBatch, type BatchRequest } from './queue.ts';

const now = new Date('2025-03-01T10:00:00.000Z');
const request: BatchRequest = { model: 'credit', input: 'gs://in/a.csv' };

let redis: Redis;
let prefix: string;
let store: BatchStore;
let queue: Queue;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string, { maxRetriesPerRequest: null });
});

afterAll(async () => {
  await redis.quit();
});

beforeEach(() => {
  prefix = `test-${randomUUID()}`;
  store = new BatchStore(redis, prefix);
  queue = openQueue('credit', redis, prefix);
});

afterEach(async () => {
  await queue.obliterate({ force: true });
  await queue.close();
});

function submit(request: BatchRequest): ReturnType<typeof submitBatch> {
  return submitBatch(request, { store, queue, now: () => now });
}

/** Names, ids and data of the jobs that wait. */
async function waitingJobs(): Promise<{ name: string; id: string | undefined; data: unknown }[]> {
  return (await queue.getJobs(['waiting'])).map(({ name, id, data }) => ({ name, id, data: data as unknown }));
}

describe('a batch', () => {
  test('is recorded and its planning queued', async () => {
    const batch = await submit(request);
    expect(batch).toMatchObject({ ...request, state: 'queued', createdAt: now.toISOString() });
    expect(await store.get(batch.id)).toEqual(batch);
    expect(await waitingJobs()).toEqual([{ name: 'plan', id: `${batch.id}.plan`, data: { batchId: batch.id } }]);
  });

  test('without a key is a new one each time', async () => {
    const [first, second] = await Promise.all([submit(request), submit(request)]);
    expect(first.id).not.toBe(second.id);
    expect(await waitingJobs()).toHaveLength(2);
  });
});

describe('an idempotency key', () => {
  test('is one batch and one job, however often it is given, and at once', async () => {
    const keyed = { ...request, idempotencyKey: 'march' };
    const batches = await Promise.all(Array.from({ length: 20 }, () => submit(keyed)));
    expect(new Set(batches.map(({ id }) => id)).size).toBe(1);
    expect(await waitingJobs()).toHaveLength(1);
    expect(await store.list({ limit: 10 })).toHaveLength(1);
  });

  test('makes the same valid UUID everywhere, another for each key and model', async () => {
    const keys = ['', ' ', 'march', 'April', 'ä'.repeat(300), 'a\0b', ...Array.from({ length: 200 }, (_, i) => `${i}`)];
    const ids: string[] = [];
    for (const idempotencyKey of keys) ids.push((await submit({ ...request, idempotencyKey })).id);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).toBe(keys.length);
    // Another program, or a later version of this one, must find the batch again.
    const march = { model: 'credit', idempotencyKey: 'march' };
    expect(batchIdOf(march, 'riskmodel')).toBe('e1be7481-e422-87f1-b4bc-ed118b3c0af8');
    // Installations that share a warehouse may use the same keys.
    expect(batchIdOf(march, 'riskmodel:cards')).not.toBe(batchIdOf(march, 'riskmodel'));
    const ofOtherModel = await submit({ model: 'fraud', input: request.input, idempotencyKey: 'march' });
    expect(ofOtherModel.id).not.toBe(ids[keys.indexOf('march')]);
  });

  test('for another input is refused, and the first batch stays as it is', async () => {
    const first = await submit({ ...request, idempotencyKey: 'march' });
    const reused = submit({ ...request, input: 'gs://in/b.csv', idempotencyKey: 'march' });
    await expect(reused).rejects.toMatchObject({
      code: 'IdempotencyKeyReused',
      retry: 'never',
      message: 'idempotencyKey: was already used for a batch with another input; use a new key for a new batch',
    });
    expect(await store.get(first.id)).toEqual(first);
    expect(await waitingJobs()).toHaveLength(1);
  });

  test('for another format is refused too; the format is on record', async () => {
    const first = await submit({ ...request, format: 'csv', idempotencyKey: 'march' });
    expect(await store.get(first.id)).toMatchObject({ input: request.input, format: 'csv' });
    const reused = submit({ ...request, format: 'ndjson', idempotencyKey: 'march' });
    await expect(reused).rejects.toMatchObject({ code: 'IdempotencyKeyReused' });
  });

  test.each<BatchState>(['planning', 'scoring', 'committing', 'done', 'failed', 'cancelled'])(
    'of a batch that is %s answers it and queues nothing',
    async (state) => {
      const { id } = await submit({ ...request, idempotencyKey: 'march' });
      await store.transition(id, ['queued'], state);
      await queue.remove(`${id}.plan`);
      expect(await submit({ ...request, idempotencyKey: 'march' })).toMatchObject({ id, state });
      expect(await waitingJobs()).toEqual([]);
    },
  );

  test('given again after a crash between record and queue queues what was left out', async () => {
    const { id } = await submit({ ...request, idempotencyKey: 'march' });
    await queue.remove(`${id}.plan`);
    expect(await waitingJobs()).toEqual([]);
    await submit({ ...request, idempotencyKey: 'march' });
    expect(await waitingJobs()).toMatchObject([{ id: `${id}.plan` }]);
  });
});

test('a queue that can not be reached is an error; the batch is on record, and queued when it is given again', async () => {
  const broken = openQueue('credit', redis, prefix);
  const outage = new Error('Connection is closed.');
  broken.add = () => Promise.reject(outage);
  const keyed = { ...request, idempotencyKey: 'march' };
  await expect(submitBatch(keyed, { store, queue: broken, now: () => now })).rejects.toBe(outage);
  await broken.close();
  const [orphan] = await store.list({ limit: 10 });
  expect(orphan?.state).toBe('queued');
  expect((await submit(keyed)).id).toBe(orphan?.id);
  expect(await waitingJobs()).toMatchObject([{ id: `${orphan?.id}.plan` }]);
});

test('each model has a queue of its own', async () => {
  const other = openQueue('fraud', redis, prefix);
  await submit(request);
  expect(await other.getWaitingCount()).toBe(0);
  expect(await queue.getWaitingCount()).toBe(1);
  await other.close();
});
