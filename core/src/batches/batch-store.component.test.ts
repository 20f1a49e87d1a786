import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { classificationReport } from '../evaluation/classification-report.ts';
import { batchStates, cancellableStates, finalStates, type BatchState } from './batch.ts';
import { BatchStore } from './batch-store.ts';

const thirtyDays = 30 * 24 * 3600;

let redis: Redis;
let prefix: string;
let store: BatchStore;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string);
});

afterAll(async () => {
  await redis.quit();
});

beforeEach(() => {
  prefix = `test-${randomUUID()}`;
  store = new BatchStore(redis, prefix);
});

/** Records a batch and brings it to a state. */
async function batchIn(state: BatchState, id: string = randomUUID()): Promise<string> {
  await store.create({ id, model: 'credit', input: 'gs://in/a.csv', createdAt: '2025-03-01T10:00:00.000Z' });
  if (state !== 'queued') expect(await store.transition(id, ['queued'], state)).toBe(true);
  return id;
}

/** Seconds that keys of the batch have to live, by key; -1 is for ever. */
async function lifetimes(id: string): Promise<Record<string, number>> {
  const keys = (await redis.keys(`${prefix}:batch:${id}*`)).toSorted();
  return Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key.slice(prefix.length + 1), await redis.ttl(key)] as const)),
  );
}

describe('a new batch', () => {
  test('is queued, and has nothing yet', async () => {
    const batch = { id: randomUUID(), model: 'credit', input: 'gs://in/a.csv', createdAt: '2025-03-01T10:00:00.000Z' };
    expect(await store.create(batch)).toBe(true);
    expect(await store.get(batch.id)).toEqual({
      ...batch,
      state: 'queued',
      rows: { total: null, done: 0, failed: 0 },
      startedAt: null,
      finishedAt: null,
      output: { results: null, metrics: null, rejects: null },
    });
    expect(await store.state(batch.id)).toBe('queued');
  });

  test('is recorded once: a second one of its id changes nothing', async () => {
    const id = await batchIn('scoring');
    const before = await store.get(id);
    const again = { id, model: 'other', input: 'gs://in/b.csv', createdAt: '2030-01-01T00:00:00.000Z' };
    expect(await store.create(again)).toBe(false);
    expect(await store.get(id)).toEqual(before);
    expect(await store.list({ model: 'other', limit: 10 })).toEqual([]);
  });

  test('by twenty at once has one author', async () => {
    const id = randomUUID();
    const created = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        store.create({ id, model: 'credit', input: `gs://in/${i}`, createdAt: '2025-03-01T10:00:00.000Z' }),
      ),
    );
    expect(created.filter(Boolean)).toHaveLength(1);
    expect((await store.get(id))?.input).toBe(`gs://in/${created.indexOf(true)}`);
  });

  test('of an unknown id is none', async () => {
    expect(await store.get('none')).toBeUndefined();
    expect(await store.state('none')).toBeUndefined();
    expect(await store.plan('none')).toBeUndefined();
  });

  test('is not seen by an installation of another prefix', async () => {
    const id = await batchIn('queued');
    const other = new BatchStore(redis, `${prefix}-other`);
    expect(await other.get(id)).toBeUndefined();
    expect(await other.list({ limit: 10 })).toEqual([]);
  });
});

describe('a transition', () => {
  test('happens from the expected states and no others', async () => {
    for (const state of batchStates) {
      for (const expected of batchStates) {
        const id = await batchIn(state);
        const moved = await store.transition(id, [expected], 'committing', { startedAt: '2025-03-01T10:00:01.000Z' });
        const reason = `from ${state}, expecting ${expected}`;
        expect({ reason, moved }).toEqual({ reason, moved: state === expected });
        expect(await store.get(id)).toMatchObject(
          moved
            ? { state: 'committing', startedAt: '2025-03-01T10:00:01.000Z' }
            : { state, startedAt: null, rows: { total: null } },
        );
      }
    }
  });

  test('may expect several states, or none', async () => {
    const id = await batchIn('planning');
    expect(await store.transition(id, [], 'failed')).toBe(false);
    expect(await store.transition(id, ['queued', 'scoring'], 'failed')).toBe(false);
    expect(await store.transition(id, ['queued', 'planning', 'scoring'], 'failed')).toBe(true);
  });

  test('of a batch that is not there makes none', async () => {
    expect(await store.transition('none', batchStates, 'done', { total: 1 })).toBe(false);
    expect(await redis.keys(`${prefix}:*`)).toEqual([]);
  });

  test('sets what comes with it, of every kind', async () => {
    const id = await batchIn('queued');
    const metrics = classificationReport({ trueNegatives: 7, falsePositives: 1, falseNegatives: 1, truePositives: 3 });
    const plan = { input: { chunks: [{ index: 0 }] }, text: 'ä "quoted"\n' };
    await store.transition(id, ['queued'], 'scoring', { total: 12, plan, startedAt: '2025-03-01T10:00:01.000Z' });
    expect(await store.plan(id)).toEqual(plan);
    await store.transition(id, ['scoring'], 'done', {
      finishedAt: '2025-03-01T10:00:02.000Z',
      done: 12,
      failed: 0,
      results: '/results',
      metricsTable: '/metrics',
      rejects: undefined as unknown as string,
      metrics,
    });
    expect(await store.get(id)).toEqual({
      id,
      model: 'credit',
      input: 'gs://in/a.csv',
      state: 'done',
      rows: { total: 12, done: 12, failed: 0 },
      createdAt: '2025-03-01T10:00:00.000Z',
      startedAt: '2025-03-01T10:00:01.000Z',
      finishedAt: '2025-03-01T10:00:02.000Z',
      output: { results: '/results', metrics: '/metrics', rejects: null },
      metrics,
    });
  });

  test('to failed keeps the error', async () => {
    const id = await batchIn('scoring');
    const error = { code: 'TooManyRejects', message: 'half of them' };
    await store.transition(id, ['scoring'], 'failed', { error });
    expect(await store.get(id)).toMatchObject({ state: 'failed', error });
  });
});

describe('cancelling', () => {
  test.each(batchStates)('a batch that is %s', async (state) => {
    const id = await batchIn(state);
    const cancellable = cancellableStates.includes(state);
    expect(await store.cancel(id, '2025-03-01T11:00:00.000Z')).toBe(cancellable);
    expect(await store.get(id)).toMatchObject(
      cancellable ? { state: 'cancelled', finishedAt: '2025-03-01T11:00:00.000Z' } : { state, finishedAt: null },
    );
  });

  test('and committing at once: exactly one wins, in each of 200 rounds', async () => {
    const other = redis.duplicate();
    try {
      const winners = new Set<BatchState>();
      for (let round = 0; round < 200; round++) {
        const id = await batchIn('scoring');
        // Whichever is sent first tends to win, so they take turns.
        const cancel = (): Promise<boolean> => store.cancel(id, '2025-03-01T11:00:00.000Z');
        const commit = (): Promise<boolean> => new BatchStore(other, prefix).transition(id, ['scoring'], 'committing');
        const [cancelled, committing] =
          round % 2 === 0
            ? await Promise.all([cancel(), commit()])
            : (await Promise.all([commit(), cancel()])).toReversed();
        expect({ round, winners: [cancelled, committing].filter(Boolean).length }).toEqual({ round, winners: 1 });
        const state = await store.state(id);
        expect(state).toBe(cancelled ? 'cancelled' : 'committing');
        winners.add(state as BatchState);
      }
      expect([...winners].toSorted()).toEqual(['cancelled', 'committing']);
    } finally {
      await other.quit();
    }
  });
});

describe('progress', () => {
  test('is the sum of the chunks, each counted once however often it is told', async () => {
    const id = await batchIn('scoring');
    await store.recordChunk(id, 0, { done: 90, failed: 10 });
    await store.recordChunk(id, 1, { done: 50, failed: 0 });
    await store.recordChunk(id, 0, { done: 90, failed: 10 });
    expect((await store.get(id))?.rows).toEqual({ total: null, done: 140, failed: 10 });
  });

  test('of many chunks at once is not mixed up', async () => {
    const id = await batchIn('scoring');
    const chunks = Array.from({ length: 100 }, (_, chunk) => chunk);
    await Promise.all(chunks.map((chunk) => store.recordChunk(id, chunk, { done: chunk, failed: 1 })));
    expect((await store.get(id))?.rows).toMatchObject({ done: 4950, failed: 100 });
  });

  test('gives way to what was committed', async () => {
    const id = await batchIn('scoring');
    await store.recordChunk(id, 0, { done: 90, failed: 10 });
    await store.transition(id, ['scoring'], 'done', { total: 100, done: 91, failed: 9 });
    expect((await store.get(id))?.rows).toEqual({ total: 100, done: 91, failed: 9 });
  });

  test('of a batch that is not there is not kept', async () => {
    await store.recordChunk('none', 0, { done: 1, failed: 0 });
    expect(await redis.keys(`${prefix}:*`)).toEqual([]);
  });
});

describe('a batch that has ended', () => {
  test.each(finalStates)('as %s can be asked for during thirty days', async (state) => {
    const id = await batchIn('scoring');
    await store.recordChunk(id, 0, { done: 1, failed: 0 });
    expect(Object.values(await lifetimes(id))).toEqual([-1, -1]);
    await store.transition(id, ['scoring'], state);
    expect(await lifetimes(id)).toEqual({
      [`batch:${id}`]: expect.closeTo(thirtyDays, -1),
      [`batch:${id}:chunks`]: expect.closeTo(thirtyDays, -1),
    });
  });

  test('takes the progress along that is told too late', async () => {
    // A chunk may be under way when its batch is cancelled.
    const id = await batchIn('scoring');
    await store.cancel(id, '2025-03-01T11:00:00.000Z');
    await store.recordChunk(id, 0, { done: 1, failed: 0 });
    expect(Object.values(await lifetimes(id)).filter((seconds) => seconds === -1)).toEqual([]);
  });

  test('leaves the lists when it is gone', async () => {
    const kept = await batchIn('scoring');
    const gone = await batchIn('done');
    await redis.del(`${prefix}:batch:${gone}`);
    for (const filter of [{}, { model: 'credit' }]) {
      const batches = await store.list({ ...filter, limit: 10 });
      expect(batches.map(({ id }) => id)).toEqual([kept]);
    }
    expect(await redis.zcard(`${prefix}:batches`)).toBe(1);
    expect(await redis.zcard(`${prefix}:batches:credit`)).toBe(1);
  });
});

async function ids(options: { model?: string; limit: number }): Promise<string> {
  return (await store.list(options)).map(({ id }) => id).join('');
}

describe('a list', () => {
  test('is newest first, of one model or all, and no longer than it may be', async () => {
    const made = [
      ['a', 'credit', '2025-03-01T10:00:00.000Z'],
      ['b', 'fraud', '2025-03-03T10:00:00.000Z'],
      ['c', 'credit', '2025-03-02T10:00:00.000Z'],
      ['d', 'credit', '2025-03-02T10:00:00.001Z'],
    ] as const;
    for (const [id, model, createdAt] of made) await store.create({ id, model, input: 'gs://in/a', createdAt });
    expect(await ids({ limit: 10 })).toBe('bdca');
    expect(await ids({ model: 'credit', limit: 10 })).toBe('dca');
    expect(await ids({ model: 'credit', limit: 2 })).toBe('dc');
    expect(await ids({ model: 'none', limit: 10 })).toBe('');
  });
});
