import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { BatchStore } from './batch-store.ts';
import { openQueue } from './queue.ts';
import { startScheduledBatch, syncSchedules } from './schedules.ts';

const nightly = { name: 'nightly', cron: '0 3 * * *', timeZone: 'Europe/Berlin', input: 'gs://in-put/{{date}}.csv' };
const monthly = { name: 'monthly', cron: '0 0 1 * *', timeZone: 'UTC', input: 'gs://in-put/month.csv' };
const now = (): Date => new Date();
/** When each of them has come up. */
const later = (): Date => new Date(Date.now() + 32 * 24 * 3_600_000);

let redis: Redis;
let prefix: string;
let queue: Queue;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string, { maxRetriesPerRequest: null });
});

afterAll(async () => {
  await redis.quit();
});

beforeEach(() => {
  prefix = `test-${randomUUID()}`;
  queue = openQueue('credit', redis, prefix);
});

afterEach(async () => {
  await queue.obliterate({ force: true });
  await queue.close();
});

/** What the queue's schedulers are, by key. */
async function schedulers(): Promise<Record<string, string>> {
  const all = await queue.getJobSchedulers();
  return Object.fromEntries(all.map(({ key, pattern, tz }) => [key, `${pattern} ${tz}`]));
}

describe('a queue follows the schedules', () => {
  test('added, changed and removed', async () => {
    await syncSchedules(queue, [nightly, monthly], now);
    expect(await schedulers()).toEqual({ nightly: '0 3 * * * Europe/Berlin', monthly: '0 0 1 * * UTC' });
    const next = await syncSchedules(queue, [{ ...nightly, cron: '30 4 * * *', timeZone: 'UTC' }], now);
    expect(await schedulers()).toEqual({ nightly: '30 4 * * * UTC' });
    expect(new Date(next as number).toISOString()).toMatch(/T04:30:00.000Z$/);
    expect(await queue.getDelayedCount()).toBe(1);
    expect(await syncSchedules(queue, [], now)).toBeUndefined();
    expect(await schedulers()).toEqual({});
    expect(await queue.getDelayedCount()).toBe(0);
  });

  test('unchanged, its job stays the same', async () => {
    await syncSchedules(queue, [nightly], now);
    const [job] = await queue.getDelayed();
    await syncSchedules(queue, [nightly], now);
    expect((await queue.getDelayed()).map(({ id, timestamp }) => [id, timestamp])).toEqual([[job?.id, job?.timestamp]]);
  });
});

describe('a moment that passes while no worker is there', () => {
  test('puts its job in line, once', async () => {
    await syncSchedules(queue, [nightly], now);
    expect(await queue.getWaitingCount()).toBe(0);
    await syncSchedules(queue, [nightly], later);
    await syncSchedules(queue, [nightly], later);
    expect(await queue.getWaiting()).toMatchObject([{ name: 'schedule', data: { schedule: 'nightly' } }]);
    expect(await queue.getDelayedCount()).toBe(0);
  });

  test('and whose job is lost is scheduled anew', async () => {
    await syncSchedules(queue, [nightly], now);
    const [job] = await queue.getDelayed();
    await redis.zrem(queue.toKey('delayed'), job?.id as string);
    await redis.del(queue.toKey(job?.id as string));
    await syncSchedules(queue, [nightly], later);
    expect(await queue.getDelayedCount()).toBe(1);
  });
});

test('a moment starts one batch, of that day, however often its job is delivered', async () => {
  const store = new BatchStore(redis, prefix);
  const job = { schedule: 'nightly', input: nightly.input, timeZone: 'Europe/Berlin' };
  const due = new Date('2025-03-01T23:30:00.000Z');
  const start = (moment: Date): Promise<{ id: string }> =>
    startScheduledBatch('credit', job, moment, { store, queue, now });
  const started = await Promise.all(Array.from({ length: 10 }, () => start(due)));
  expect(new Set(started.map(({ id }) => id)).size).toBe(1);
  await start(new Date('2025-03-02T23:30:00.000Z'));
  expect((await store.list({ limit: 10 })).map(({ input }) => input).toSorted()).toEqual([
    'gs://in-put/2025-03-02.csv',
    'gs://in-put/2025-03-03.csv',
  ]);
});
