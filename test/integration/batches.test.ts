import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { isFinal } from '@riskmodel/core/batches/batch.ts';
import { writeApplicants } from '../harness/applicants.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';

jest.setTimeout(180_000);

/** So many that a batch takes seconds, in which it is certain to be met in the middle. */
const manyRows = 1_000_000;
let system: LocalSystem;

beforeAll(async () => {
  system = await LocalSystem.start({ manifest: exampleManifest({ chunkRows: 10_000 }) });
  await writeApplicants({ rows: 100, seed: 5, out: system.pathOf('gs://inputs/small.csv') });
  await writeApplicants({ rows: manyRows, seed: 5, out: system.pathOf('gs://inputs/large.parquet') });
});

afterAll(() => system.stop());

async function rowsOf(batchId: string): Promise<number> {
  if ((await system.fileCount('results')) === 0) return 0;
  const [count] = await system.query(
    `SELECT count(*)::INTEGER AS rows FROM ${system.table('results')} WHERE batch_id = '${batchId}'`,
  );
  return Number(count?.['rows']);
}

describe('idempotency keys', () => {
  test('two submissions with one key are one batch, also when they race and also once it is done', async () => {
    const worker = await system.startWorker();
    const raced = await Promise.all(Array.from({ length: 20 }, () => system.submit('gs://inputs/small.csv', 'monday')));
    const ids = new Set(raced.map(({ id }) => id));
    expect(ids.size).toBe(1);
    const [id] = ids as unknown as [string];
    await system.waitForEnd(id);
    expect(await system.submit('gs://inputs/small.csv', 'monday')).toMatchObject({ id, state: 'done' });
    expect(await rowsOf(id)).toBe(100);
    await worker.stop();
  });

  test('the same key for another input is refused', async () => {
    await expect(system.submit('gs://inputs/large.parquet', 'monday')).rejects.toMatchObject({
      code: 'IdempotencyKeyReused',
    });
  });
});

test('100 batches enqueued at once all finish, each with its rows', async () => {
  const submitted = await Promise.all(Array.from({ length: 100 }, () => system.submit('gs://inputs/small.csv')));
  const worker = await system.startWorker();
  const started = performance.now();
  const ended = await Promise.all(submitted.map(({ id }) => system.waitForEnd(id)));
  printFigure(`100 batches of 100 rows: ${Math.round(performance.now() - started)} ms on one worker`);
  expect(ended.filter(({ state }) => state !== 'done')).toEqual([]);
  const [results] = await system.query(
    `SELECT count(*)::INTEGER AS rows, count(DISTINCT batch_id)::INTEGER AS batches FROM ${system.table('results')}
     WHERE batch_id IN (${submitted.map(({ id }) => `'${id}'`).join(', ')})`,
  );
  expect(results).toEqual({ rows: 10_000, batches: 100 });
  await worker.stop();
});

describe('cancelling', () => {
  test('a batch that waits never starts', async () => {
    const { id } = await system.submit('gs://inputs/small.csv');
    expect(await system.batches.cancel(id, new Date().toISOString())).toBe(true);
    const worker = await system.startWorker();
    const other = await system.run('gs://inputs/small.csv');
    expect(other.state).toBe('done');
    expect(await system.batches.get(id)).toMatchObject({ state: 'cancelled', startedAt: null });
    expect(await rowsOf(id)).toBe(0);
    await worker.stop();
  });

  test('a batch in the middle of scoring stops, and leaves nothing in the warehouse or in staging', async () => {
    const worker = await system.startWorker();
    const { id } = await system.submit('gs://inputs/large.parquet');
    await system.waitFor(id, (batch) => batch.rows.done > 0);
    expect(await system.batches.cancel(id, new Date().toISOString())).toBe(true);
    await eventually(async () => {
      expect(await system.query(`SELECT file FROM glob('${system.folder}/buckets/riskmodel-staging/**')`)).toEqual([]);
    });
    const cancelled = await system.batches.get(id);
    expect(cancelled?.state).toBe('cancelled');
    expect(cancelled?.rows.done).toBeLessThan(manyRows);
    expect(await rowsOf(id)).toBe(0);
    await worker.stop();
  });

  test('a batch that is done stays done', async () => {
    const worker = await system.startWorker();
    const { id } = await system.run('gs://inputs/small.csv');
    expect(await system.batches.cancel(id, new Date().toISOString())).toBe(false);
    expect(await system.batches.state(id)).toBe('done');
    await worker.stop();
  });
});

test('a worker that is told to stop finishes its chunk and exits; another goes on at once', async () => {
  // A chunk that was let go of in the middle would be waited for as long as its lock lasts: ten minutes here.
  const first = await system.startWorker({ RISKMODEL_WORKER_LOCK_MS: '600000' });
  const { id } = await system.submit('gs://inputs/large.parquet');
  const midway = await system.waitFor(id, (batch) => batch.rows.done > 0);
  expect(await first.stop()).toBe(0);
  const paused = await system.batches.get(id);
  expect(isFinal(midway.state)).toBe(false);
  expect(paused?.state).toBe('scoring');
  const second = await system.startWorker();
  const resumed = performance.now();
  expect(await system.waitForEnd(id)).toMatchObject({ state: 'done', rows: { done: manyRows } });
  printFigure(
    `stopped at ${paused?.rows.done} of ${manyRows} rows, finished by another worker in ${Math.round(performance.now() - resumed)} ms`,
  );
  expect(await rowsOf(id)).toBe(manyRows);
  await second.stop();
});

test('several workers share one batch', async () => {
  const workers = await Promise.all(
    [1, 2, 3].map(() => system.startWorker({ RISKMODEL_LOG_LEVEL: 'debug', RISKMODEL_WORKER_CONCURRENCY: '1' })),
  );
  const { id } = await system.submit('gs://inputs/large.parquet');
  expect(await system.waitForEnd(id)).toMatchObject({ state: 'done' });
  // Lines are written many at a time, the last of them when a worker ends.
  await Promise.all(workers.map((worker) => worker.stop()));
  const shares = workers.map(
    ({ lines }) => lines.filter((line) => line.includes(id) && line.includes('chunk scored')).length,
  );
  printFigure(`100 chunks over three workers: ${shares.join(', ')}`);
  expect(shares.reduce((sum, share) => sum + share, 0)).toBe(100);
  expect(Math.min(...shares)).toBeGreaterThan(0);
});
