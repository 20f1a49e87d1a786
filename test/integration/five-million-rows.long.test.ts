import { openAsBlob } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Batch, BatchState } from '@riskmodel/core/batches/batch.ts';
import { writeApplicants } from '../harness/applicants.ts';
import { printFigure } from '../harness/figures.ts';
import { GoogleCloud, whyNoGoogleCloud } from '../harness/google-cloud.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import type { Program } from '../harness/program.ts';

jest.setTimeout(900_000);

const rows = 5_000_000;
const workerCount = 4;
const mostMemory = 700e6;
/** Of an even share of the rows, a worker does at least this much: nobody is left out. */
const leastOfEvenShare = 0.2;

const reason = await whyNoGoogleCloud();

(reason === undefined ? describe : describe.skip)('5,000,000 rows of one object, shared by four workers', () => {
  let cloud: GoogleCloud;
  let system: LocalSystem;
  let folder: string;
  let workers: Program[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'riskmodel-five-million-'));
    cloud = await GoogleCloud.start();
    const manifest = exampleManifest({ output: { dataset: cloud.dataset } });
    manifest.spec.artifact.uri = await cloud.upload('model.onnx', manifest.spec.artifact.uri);
    system = await LocalSystem.start({ manifest });
  });

  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
  });

  afterAll(async () => {
    await system.stop();
    await cloud.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test.each(['parquet', 'ndjson'])(
    '%s: every row once, in under 700 MB a worker, and nobody is left out',
    async (format) => {
      const input = await putApplicants(`applicants.${format}`);
      const env = { ...cloud.environment, RISKMODEL_LOG_LEVEL: 'debug', RISKMODEL_WORKER_THREADS: '1' };
      workers = await Promise.all(Array.from({ length: workerCount }, () => system.startWorker(env)));

      const { id } = await system.submit(input);
      const { batch, seconds } = await timed(id);
      const memory = workers.map((worker) => worker.peakMemory());
      const shares = workers.map((worker) => rowsScoredBy(worker) / rows);
      const { planning, scoring, committing } = seconds;
      const total = planning + scoring + committing;
      printFigure(
        `${rows} rows of ${format}, ${workerCount} workers: ${Math.round(rows / total).toLocaleString('en')} rows/s in ${total.toFixed(1)} s: planning ${planning.toFixed(1)} s, scoring ${scoring.toFixed(1)} s (${Math.round(rows / scoring).toLocaleString('en')} rows/s), loading into the emulator ${committing.toFixed(1)} s`,
      );
      printFigure(
        `by worker: ${shares.map((share) => `${(share * 100).toFixed(1)} %`).join(', ')} of the rows; at most ${memory.map((bytes) => Math.round(bytes / 1e6)).join(', ')} MB`,
      );

      expect(batch).toMatchObject({ state: 'done', rows: { total: rows, done: rows, failed: 0 } });
      const [results] = await cloud.query(
        `SELECT count(*) AS n, count(DISTINCT record_index) AS records, max(record_index) AS last FROM risk_model_results WHERE batch_id = '${id}'`,
      );
      expect(results).toEqual({ n: rows, records: rows, last: rows - 1 });
      const [metrics] = await cloud.query(
        `SELECT count(*) AS n, max(support) AS support FROM risk_model_metrics WHERE batch_id = '${id}'`,
      );
      expect(metrics).toEqual({ n: 5, support: rows });
      expect(Math.max(...memory)).toBeLessThan(mostMemory);
      expect(Math.min(...shares)).toBeGreaterThan(leastOfEvenShare / workerCount);
    },
  );

  /** Waits for the batch's end. Returns it and how long it was in each state. */
  async function timed(
    id: string,
  ): Promise<{ batch: Batch; seconds: Record<'planning' | 'scoring' | 'committing', number> }> {
    const seconds = { planning: 0, scoring: 0, committing: 0 };
    const order: BatchState[] = ['queued', 'planning', 'scoring', 'committing'];
    for (const state of ['planning', 'scoring', 'committing'] as const) {
      const started = performance.now();
      const passed = new Set(order.slice(0, order.indexOf(state) + 1));
      const batch = await system.waitFor(id, (current) => !passed.has(current.state), 300_000);
      seconds[state] = (performance.now() - started) / 1_000;
      if (state === 'committing') return { batch, seconds };
    }
    throw new Error('unreachable');
  }

  /** Writes applicants to an object of the test's bucket. */
  async function putApplicants(name: string): Promise<string> {
    const file = join(folder, name);
    await writeApplicants({ rows, seed: 51, out: file });
    try {
      return cloud.emulators === undefined ? await cloud.upload(name, file) : await putAtOnce(name, file);
    } finally {
      await rm(file);
    }
  }

  /** In one request of nothing but the content: of other uploads the emulator has several copies in memory. */
  async function putAtOnce(name: string, file: string): Promise<string> {
    const uri = `${cloud.folderUri}/${name}`;
    const [bucket = '', ...path] = uri.replace('gs://', '').split('/');
    const query = new URLSearchParams({ uploadType: 'media', name: path.join('/') });
    const answer = await fetch(`${cloud.emulators?.storage.url}/upload/storage/v1/b/${bucket}/o?${query.toString()}`, {
      method: 'POST',
      body: await openAsBlob(file),
    });
    expect(answer.status).toBe(200);
    return uri;
  }
});

/** Rows of chunks that the worker said it scored. */
function rowsScoredBy(worker: Program): number {
  return worker.lines
    .filter((line) => line.includes('"chunk scored"'))
    .reduce((sum, line) => sum + (JSON.parse(line) as { rows: number }).rows, 0);
}
