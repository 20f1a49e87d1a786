import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { TriggerRegistry } from '@riskmodel/core/batches/trigger-registry.ts';
import { openQueue } from '@riskmodel/core/batches/queue.ts';
import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { TestRedis } from '../testing/test-redis.ts';
import { until } from '../testing/until.ts';
import { RedisBatchService } from './batch-service.ts';

const input = 'gs://bucket/file.json';
const unavailable = { code: 'BatchServiceUnavailable', retry: 'later' };

describe('RedisBatchService', () => {
  let redis: TestRedis;
  let client: Redis;
  let store: BatchStore;
  let queue: Queue;
  let triggers: TriggerRegistry;
  let service: RedisBatchService;
  beforeAll(async () => {
    redis = await TestRedis.start();
    client = connectRedis(redis.url, 'request', () => {});
    store = new BatchStore(client, redis.prefix);
    triggers = new TriggerRegistry(client, redis.prefix);
    queue = openQueue('credit', client, redis.prefix);
    queue.on('error', () => {});
    const objects = { stat: async (uri: string) => (uri === input ? { uri, generation: '1', size: 1 } : undefined) };
    service = new RedisBatchService({
      store,
      queues: new Map([['credit', queue]]),
      objects: objects as unknown as ObjectStore,
      triggers,
      stagingUri: 'gs://staging/risk',
      now: () => new Date('2026-01-01T00:00:00Z'),
    });
  });
  afterAll(async () => {
    await queue.close();
    client.disconnect();
    await redis.stop();
  });

  test('submits a batch, once for one key, and lists, finds and cancels it', async () => {
    const batch = await service.submit({ model: 'credit', input, idempotencyKey: 'k' });
    expect(batch).toMatchObject({ model: 'credit', input, state: 'queued', createdAt: '2026-01-01T00:00:00.000Z' });
    expect(await service.submit({ model: 'credit', input, idempotencyKey: 'k' })).toEqual(batch);
    await expect(
      service.submit({ model: 'credit', input: 'gs://bucket/other.json', idempotencyKey: 'k' }),
    ).rejects.toMatchObject({ code: 'IdempotencyKeyReused' });
    expect(await service.list({ limit: 10 })).toEqual([batch]);
    expect(await service.get(batch.id)).toEqual(batch);
    expect(await service.queueDepths()).toEqual([
      { model: 'credit', jobs: expect.objectContaining({ waiting: 1 }), oldestSeconds: expect.any(Number) },
    ]);
    expect(await service.cancel(batch.id)).toMatchObject({
      state: 'cancelled',
      finishedAt: '2026-01-01T00:00:00.000Z',
    });
    expect(await service.cancel('none')).toBeUndefined();
  });

  test('starts the batch of an object that a trigger is for, one for each of its versions', async () => {
    const object = { bucket: 'bucket', path: 'in/march.csv', generation: '7' };
    expect(await service.startTriggered(object)).toEqual([]);
    await triggers.set('credit', { triggers: [{ prefix: 'in/' }], outputUri: 'gs://bucket/in/results' });
    const [batch] = await service.startTriggered(object);
    expect(batch).toMatchObject({ model: 'credit', input: 'gs://bucket/in/march.csv', generation: '7' });
    expect(await service.startTriggered(object)).toEqual([batch]);
    const [newer] = await service.startTriggered({ ...object, generation: '8' });
    expect(newer?.id).not.toBe(batch?.id);
    // Neither what is staged nor the model's own results.
    expect(await service.startTriggered({ ...object, path: 'in/results/credit/1.parquet' })).toEqual([]);
    await triggers.set('credit', { triggers: [{ suffix: '.csv' }] });
    expect(await service.startTriggered({ ...object, bucket: 'staging', path: 'risk/1.csv' })).toEqual([]);
    await triggers.set('credit', { triggers: [] });
    expect(await service.startTriggered({ ...object, generation: '9' })).toEqual([]);
  });

  test('a batch that is being committed is answered as it is', async () => {
    const { id } = await service.submit({ model: 'credit', input });
    await store.transition(id, ['queued'], 'committing');
    expect(await service.cancel(id)).toMatchObject({ state: 'committing' });
  });

  test('knows whether an input is there', async () => {
    expect(await service.inputExists(input)).toBe(true);
    expect(await service.inputExists('gs://bucket/none')).toBe(false);
  });

  test('without Redis every call fails soon, and works again with it', async () => {
    await redis.pause();
    await expect(service.submit({ model: 'credit', input })).rejects.toMatchObject(unavailable);
    await expect(service.get('x')).rejects.toMatchObject(unavailable);
    await expect(service.list({ limit: 1 })).rejects.toMatchObject(unavailable);
    await expect(service.cancel('x')).rejects.toMatchObject(unavailable);
    expect(await service.queueDepths()).toEqual([]);
    await redis.resume();
    await until(async () => {
      const batch = await service.submit({ model: 'credit', input }).catch(() => undefined);
      return batch?.state === 'queued';
    });
  }, 60_000);
});
