import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { queueName } from '@riskmodel/core/batches/queue.ts';
import { PredictionTable } from '@riskmodel/core/lookup/prediction-table.ts';
import { Redis } from 'ioredis';
import type { Fault } from '../faults/faulty-worker.ts';
import { writeApplicants } from '../harness/applicants.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { faultyWorker, LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';

jest.setTimeout(180_000);

const rows = 5_000;
/** A dead worker's jobs are taken over after this long. */
const env = { RISKMODEL_WORKER_LOCK_MS: '1500' };
const first = 'gs://inputs/first.parquet';
/** The same customers and as many new ones, with other features. */
const second = 'gs://inputs/second.parquet';

let redis: Redis;
let system: LocalSystem;
let table: PredictionTable;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string);
});

afterAll(() => redis.quit());

beforeEach(async () => {
  system = await LocalSystem.start({ manifest: exampleManifest({ chunkRows: 1_000, lookup: { ttl: '24h' } }) });
  table = new PredictionTable(redis, system.redisPrefix);
});

afterEach(() => system.stop());

/** Every row of a batch in the warehouse that is the newest of its customer is what is looked up. */
async function expectLatest(batchId: string): Promise<number> {
  const latest = await system.query(
    `SELECT customer_id, prob_0, prob_1, decision::INTEGER AS decision, epoch_ms(pred_datetime)::DOUBLE AS at, batch_id
     FROM ${system.table('results')}
     QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY pred_datetime DESC, record_index DESC) = 1`,
  );
  const found = await Promise.all(latest.map(({ customer_id }) => table.get('credit-default', String(customer_id))));
  expect(found).toEqual(
    latest.map(({ prob_0, prob_1, decision, at, batch_id }) => ({
      prob0: prob_0,
      prob1: prob_1,
      decision,
      batchId: batch_id,
      modelVersion: '1',
      predDatetime: new Date(Number(at)).toISOString(),
    })),
  );
  return latest.filter(({ batch_id }) => batch_id === batchId).length;
}

test('a batch that is done has its predictions kept, and the server answers them', async () => {
  await writeApplicants({ rows, seed: 1, out: system.pathOf(first) });
  await system.startWorker();
  const { url } = await system.startServer();
  const { id, state } = await system.run(first);
  expect(state).toBe('done');
  expect(await expectLatest(id)).toBe(rows);
  const [row] = await system.query(
    `SELECT customer_id, prob_0, prob_1, decision::INTEGER AS decision FROM ${system.table('results')} WHERE record_index = 1234`,
  );
  const answer = await fetch(`${url}/predictions/${encodeURIComponent(String(row?.['customer_id']))}`);
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    {
      model: 'credit-default',
      id: String(row?.['customer_id']),
      prob_0: row?.['prob_0'],
      prob_1: row?.['prob_1'],
      decision: row?.['decision'],
      batchId: id,
      modelVersion: '1',
    },
  ]);
  expect((await fetch(`${url}/predictions/${randomUUID()}`)).status).toBe(404);
});

test('an older batch that is committed late leaves newer predictions alone', async () => {
  await writeApplicants({ rows: 2 * rows, seed: 1, out: system.pathOf(first) });
  await writeApplicants({ rows, seed: 2, out: system.pathOf(second) });
  const older = await system.submit(first);
  await killedAt('between staging and commit');
  // Nobody takes the dead worker's commit over before its lock has gone, which is when this test says so.
  const lock = `${system.redisPrefix}:${queueName('credit-default')}:${older.id}.commit:lock`;
  await redis.set(lock, 'held');
  await system.startWorker(env);
  const newer = await system.run(second);
  expect(newer.state).toBe('done');
  expect(await system.batches.state(older.id)).toBe('committing');
  await redis.del(lock);
  expect(await system.waitForEnd(older.id)).toMatchObject({ state: 'done' });
  expect(await expectLatest(newer.id)).toBe(rows);
  expect(await expectLatest(older.id)).toBe(rows);
});

/** Starts a worker that dies at a step, and waits until it has. */
async function killedAt(fault: Fault): Promise<void> {
  const faulty = await system.startWorker({ ...env, TEST_FAULT: fault }, faultyWorker).catch(() => undefined);
  await eventually(async () => expect(faulty?.isRunning ?? false).toBe(false), 60_000);
}

const steps = ['keeping predictions, after the first few', 'keeping predictions, before the batch is done'] as const;

describe.each(steps)('%s', (fault) => {
  beforeEach(() => writeApplicants({ rows, seed: 3, out: system.pathOf(first) }));

  test('the worker is killed with -9: the next one finishes', async () => {
    const { id } = await system.submit(first);
    await killedAt(fault);
    expect(await system.batches.state(id)).toBe('committing');
    await system.startWorker(env);
    expect(await system.waitForEnd(id)).toMatchObject({ state: 'done', rows: { done: rows } });
    expect(await expectLatest(id)).toBe(rows);
  });

  test('it fails twice: the step is tried again', async () => {
    await system.startWorker({ ...env, TEST_FAULT: fault, TEST_FAILURES: '2' }, faultyWorker);
    const { id } = await system.submit(first);
    expect(await system.waitForEnd(id)).toMatchObject({ state: 'done', rows: { done: rows } });
    expect(await expectLatest(id)).toBe(rows);
  });
});

test('a million predictions are kept by one worker in seconds', async () => {
  const many = 1_000_000;
  await writeApplicants({ rows: many, seed: 4, out: system.pathOf(first) });
  const large = await LocalSystem.start({ manifest: exampleManifest({ lookup: { ttl: '24h' } }) });
  try {
    await large.put(first, { file: system.pathOf(first) });
    const before = await usedMemory();
    const worker = await large.startWorker();
    const { id } = await large.submit(first);
    expect(await large.waitForEnd(id, 150_000)).toMatchObject({ state: 'done', rows: { done: many } });
    const line = JSON.parse(await worker.waitForLine(/predictions kept/)) as { records: number; seconds: number };
    expect(line.records).toBe(many);
    const ids = await large.query(`SELECT customer_id FROM ${large.table('results')} LIMIT 1`);
    const key = `${large.redisPrefix}:lookup:credit-default:${String(ids[0]?.['customer_id'])}`;
    const bytes = ((await usedMemory()) - before) / many;
    printFigure(
      `a million predictions kept in ${line.seconds.toFixed(1)} s by one worker (peak memory ${Math.round(worker.peakMemory() / 1e6)} MB); ` +
        `${Math.round(bytes)} bytes a record in Redis, ${await redis.memory('USAGE', key)} of them the entry and its key of ${key.length} characters`,
    );
  } finally {
    await deleteKeys(`${large.redisPrefix}:lookup:*`);
    await large.stop();
  }
});

async function usedMemory(): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
}

async function deleteKeys(pattern: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: pattern, count: 10_000 })) {
    if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
  }
}
