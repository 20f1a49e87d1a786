import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { writeApplicants } from '../harness/applicants.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import { RedisProcess } from '../harness/redis-process.ts';

jest.setTimeout(180_000);

/** So many that a batch takes seconds, in which it is certain to be met in the middle. */
const rows = 1_000_000;
let folder: string;
let redis: RedisProcess;
let system: LocalSystem;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-redis-'));
  redis = await RedisProcess.start(folder);
  system = await LocalSystem.start({ redisUrl: redis.url, manifest: exampleManifest({ chunkRows: 10_000 }) });
});

afterEach(async () => {
  await system.stop();
  await redis.kill();
  await rm(folder, { recursive: true, force: true });
});

test('Redis is killed with -9 and started again in the middle of a batch: every row once', async () => {
  const input = 'gs://inputs/applicants.parquet';
  await writeApplicants({ rows, seed: 12, out: system.pathOf(input) });
  const env = { RISKMODEL_WORKER_LOCK_MS: '1500' };
  const workers = await Promise.all([system.startWorker(env), system.startWorker(env)]);
  const { id } = await system.submit(input);
  const midway = await system.waitFor(id, (batch) => batch.rows.done >= 40_000);
  await redis.kill();
  await redis.start();
  expect(midway.state).toBe('scoring');
  expect(await system.waitForEnd(id)).toMatchObject({ state: 'done', rows: { total: rows, done: rows, failed: 0 } });
  const [results] = await system.query(
    `SELECT count(*)::INTEGER AS rows, count(DISTINCT record_index)::INTEGER AS records FROM ${system.table('results')}`,
  );
  expect(results).toEqual({ rows, records: rows });
  expect(workers.every((worker) => worker.isRunning)).toBe(true);
  printFigure(
    `Redis restarted at ${midway.rows.done} of ${rows} rows: ${rows} rows, each once; no worker was restarted`,
  );
});

test('a worker that is told to stop while Redis is away stops', async () => {
  const worker = await system.startWorker({ RISKMODEL_SHUTDOWN_GRACE: '1' });
  await redis.kill();
  await worker.waitForLine(/Redis is away/);
  expect(await worker.stop()).toBe(0);
  expect(worker.lines.filter((line) => line.includes('Redis is away'))).toHaveLength(1);
});
