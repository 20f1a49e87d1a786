import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { writeApplicants } from '../harness/applicants.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { faultyWorker, LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import { faults } from './faulty-worker.ts';

jest.setTimeout(180_000);

const rows = 200_000;
/** So many that a batch takes seconds, in which it is certain to be met in the middle. */
const manyRows = 1_000_000;
/** So few that the job that plans them scores and commits them too. */
const fewRows = 5_000;
/** A dead worker's jobs are taken over after this long. */
const env = { RISKMODEL_WORKER_LOCK_MS: '1500' };

let system: LocalSystem;
let folder: string;
const input = 'gs://inputs/applicants.parquet';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-applicants-'));
  await writeApplicants({ rows, seed: 11, out: join(folder, 'applicants.parquet') });
  await writeApplicants({ rows: manyRows, seed: 11, out: join(folder, 'many.parquet') });
  await writeApplicants({ rows: fewRows, seed: 11, out: join(folder, 'few.parquet') });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  system = await LocalSystem.start({ manifest: exampleManifest({ chunkRows: 10_000 }) });
  await system.put(input, { file: join(folder, 'applicants.parquet') });
});

afterEach(() => system.stop());

/** The batch is done and the warehouse has each of its rows exactly once. */
async function expectEveryRowOnce(batch: Batch, all = rows): Promise<void> {
  expect(batch).toMatchObject({ state: 'done', rows: { total: all, done: all, failed: 0 } });
  const [results] = await system.query(
    `SELECT count(*)::INTEGER AS rows, count(DISTINCT record_index)::INTEGER AS records, count(DISTINCT customer_id)::INTEGER AS customers,
       count(DISTINCT batch_id)::INTEGER AS batches FROM ${system.table('results')}`,
  );
  expect(results).toEqual({ rows: all, records: all, customers: all, batches: 1 });
  const [metrics] = await system.query(
    `SELECT count(*)::INTEGER AS rows, max(support)::INTEGER AS support FROM ${system.table('metrics')}`,
  );
  expect(metrics).toEqual({ rows: 5, support: all });
}

describe('a worker is killed with -9 in the middle of a batch of 100 chunks', () => {
  beforeEach(() => system.put(input, { file: join(folder, 'many.parquet') }));

  test('with a second worker alive: every row once', async () => {
    const [first] = await Promise.all([system.startWorker(env), system.startWorker(env)]);
    const { id } = await system.submit(input);
    const midway = await system.waitFor(id, (batch) => batch.rows.done >= 40_000);
    await first?.kill();
    expect(midway.state).toBe('scoring');
    await expectEveryRowOnce(await system.waitForEnd(id), manyRows);
    printFigure(`killed at ${midway.rows.done} of ${manyRows} rows, second worker alive: ${manyRows} rows, each once`);
  });

  test('with a new worker started afterwards: every row once', async () => {
    const first = await system.startWorker(env);
    const { id } = await system.submit(input);
    const midway = await system.waitFor(id, (batch) => batch.rows.done >= 40_000);
    await first.kill();
    expect(midway.state).toBe('scoring');
    await system.startWorker(env);
    await expectEveryRowOnce(await system.waitForEnd(id), manyRows);
    printFigure(`killed at ${midway.rows.done} of ${manyRows} rows, new worker started: ${manyRows} rows, each once`);
  });

  test('again and again, each worker killed after a few chunks: every row once', async () => {
    const { id } = await system.submit(input);
    let kills = 0;
    for (let wanted = 30_000; wanted <= 150_000; wanted += 40_000) {
      const worker = await system.startWorker(env);
      await system.waitFor(id, (batch) => batch.rows.done >= wanted);
      await worker.kill();
      kills++;
    }
    await system.startWorker(env);
    await expectEveryRowOnce(await system.waitForEnd(id), manyRows);
    printFigure(`${kills} workers killed one after the other: ${manyRows} rows, each once`);
  });
});

describe('a worker dies', () => {
  test.each(faults)('%s: the next one finishes, every row once', async (fault) => {
    const { id } = await system.submit(input);
    const faulty = await system.startWorker({ ...env, TEST_FAULT: fault }, faultyWorker).catch(() => undefined);
    // It may have died before it could say that it is ready.
    await eventually(async () => expect(faulty?.isRunning ?? false).toBe(false), 60_000);
    await system.startWorker(env);
    await expectEveryRowOnce(await system.waitForEnd(id));
    printFigure(`died ${fault}: ${rows} rows, each once`);
  });
});

describe('the disk fails twice', () => {
  test.each(faults)('%s: the step is tried again, every row once', async (fault) => {
    await system.startWorker({ ...env, TEST_FAULT: fault, TEST_FAILURES: '2' }, faultyWorker);
    const { id } = await system.submit(input);
    await expectEveryRowOnce(await system.waitForEnd(id));
    printFigure(`failed twice ${fault}: ${rows} rows, each once`);
  });
});

describe('with a batch of one chunk', () => {
  const steps = faults.filter((fault) => !fault.includes('chunks are queued'));

  beforeEach(() => system.put(input, { file: join(folder, 'few.parquet') }));

  test.each(steps)('a worker dies %s: the next one finishes, every row once', async (fault) => {
    const { id } = await system.submit(input);
    const faulty = await system.startWorker({ ...env, TEST_FAULT: fault }, faultyWorker).catch(() => undefined);
    await eventually(async () => expect(faulty?.isRunning ?? false).toBe(false), 60_000);
    // Once the commit has begun, nobody needs the input any more.
    if ((await system.batches.state(id)) === 'committing') await rm(system.pathOf(input));
    await system.startWorker(env);
    await expectEveryRowOnce(await system.waitForEnd(id), fewRows);
    printFigure(`died ${fault}: ${fewRows} rows of one chunk, each once`);
  });

  test.each(steps)('the disk fails twice %s: the step is tried again, every row once', async (fault) => {
    await system.startWorker({ ...env, TEST_FAULT: fault, TEST_FAILURES: '2' }, faultyWorker);
    const { id } = await system.submit(input);
    await expectEveryRowOnce(await system.waitForEnd(id), fewRows);
    printFigure(`failed twice ${fault}: ${fewRows} rows of one chunk, each once`);
  });
});
