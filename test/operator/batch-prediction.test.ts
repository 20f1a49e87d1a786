import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { BatchPredictionStatus } from '@riskmodel/core/batchprediction/zz_generated.batchprediction.ts';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { Redis } from 'ioredis';
import { writeApplicants } from '../harness/applicants.ts';
import { everyRequest, type AuditEvent } from '../harness/cluster/audit-log.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import type { Program } from '../harness/program.ts';
import { RedisProcess } from '../harness/redis-process.ts';
import { OperatorFixture } from './operator-fixture.ts';

jest.setTimeout(240_000);
/** The first run on a machine builds Kubernetes. */
const buildTimeoutMs = 80 * 60_000;
const model = 'credit-default';
/** The operator's prefix with the model's namespace. */
const prefix = 'riskmodel:risk';
const fewRows = 3_000;
/** Enough for a batch to take some seconds in chunks of a thousand. */
const manyRows = 200_000;
/** Enough for a batch to take longer than everything that happens to it meanwhile. */
const mostRows = 1_000_000;

let folder: string;
let redisServer: RedisProcess;
let redis: Redis;
let batches: BatchStore;
let fixture: OperatorFixture;
let system: LocalSystem;
let worker: Program | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-redis-'));
  redisServer = await RedisProcess.start(folder);
  process.env['REDIS_URL'] = redisServer.url;
  redis = new Redis(redisServer.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  redis.on('error', () => {});
  batches = new BatchStore(redis, prefix);
  system = await LocalSystem.start({ redisUrl: redisServer.url, manifest: exampleManifest({ chunkRows: 1_000 }) });
  await writeApplicants({ rows: fewRows, seed: 1, out: system.pathOf('gs://in-put/few.csv') });
  await writeApplicants({ rows: manyRows, seed: 2, out: system.pathOf('gs://in-put/many.csv') });
  await writeApplicants({ rows: mostRows, seed: 3, out: system.pathOf('gs://in-put/most.csv') });
  fixture = await OperatorFixture.start({ audit: everyRequest });
  fixture.run();
}, buildTimeoutMs);

afterEach(async () => {
  await worker?.kill();
  worker = undefined;
  await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'rbatch', '--all', '--timeout=50s']);
  await redis.flushall();
});

afterAll(async () => {
  await fixture?.stop();
  await system?.stop();
  redis?.disconnect();
  await redisServer?.kill();
  await rm(folder, { recursive: true, force: true });
});

async function startWorker(): Promise<void> {
  worker = await system.startWorker({ RISKMODEL_REDIS_PREFIX: prefix });
}

async function apply(
  name: string,
  spec: { uri: string; format?: string; ttlSecondsAfterFinished?: number },
): Promise<void> {
  const { ttlSecondsAfterFinished, ...input } = spec;
  const run = {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'BatchPrediction',
    metadata: { name, namespace: 'risk' },
    spec: { model, input, ...(ttlSecondsAfterFinished !== undefined && { ttlSecondsAfterFinished }) },
  };
  await fixture.plane.kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(run) });
}

async function statusOf(name: string): Promise<BatchPredictionStatus> {
  const run = await fixture.get('rbatch', name);
  return run?.['status'] ?? {};
}

/** `Complete=True Failed=False Done`. */
async function verdictOf(name: string): Promise<string> {
  const { conditions = [] } = await statusOf(name);
  return [...conditions.map(({ type, status }) => `${type}=${status}`), conditions[0]?.reason].join(' ');
}

async function waitForVerdict(name: string, verdict: string, timeoutMs = 60_000): Promise<BatchPredictionStatus> {
  await eventually(async () => expect(await verdictOf(name)).toBe(verdict), timeoutMs);
  return statusOf(name);
}

/** The only run's batch, once it scores; looked for where kubectl, which takes its time, is not needed. */
async function waitForScoring(): Promise<Batch> {
  let found: Batch | undefined;
  await eventually(async () => {
    [found] = await batches.list({ limit: 1 });
    expect(found?.state).toBe('scoring');
    expect(found?.rows.done).toBeGreaterThan(0);
  }, 60_000);
  return found as Batch;
}

/** Rows that a batch has in the warehouse. */
async function storedRows(batchId: string | undefined): Promise<number> {
  if ((await system.fileCount('results')) === 0) return 0;
  const rows = await system.query(
    `SELECT count(*)::INTEGER AS rows FROM ${system.table('results')} WHERE batch_id = '${batchId}'`,
  );
  return Number(rows[0]?.['rows']);
}

/** The operator's writes to an object, oldest first. */
async function writesTo(name: string): Promise<AuditEvent[]> {
  const all = await fixture.plane.auditEvents();
  return all.filter(
    ({ verb, objectRef, requestURI }) =>
      verb === 'patch' &&
      objectRef?.resource === 'batchpredictions' &&
      objectRef.name === name &&
      requestURI.includes('fieldManager=riskmodel-operator'),
  );
}

describe('a run', () => {
  test('waits for its model, is scored when there is one, and says so in the printer columns', async () => {
    await apply('march', { uri: 'gs://in-put/few.csv', format: 'csv' });
    await waitForVerdict('march', 'Complete=False Failed=False ModelNotFound');
    const waiting = (await fixture.get('rbatch', 'march')) as KubeObject;
    expect(waiting.metadata.finalizers).toBeUndefined();
    await startWorker();

    const started = performance.now();
    await fixture.applyModel(model);
    await fixture.plane.kubectl.run([
      '-n',
      'risk',
      'wait',
      'rbatch/march',
      '--for=condition=Complete',
      '--timeout=60s',
    ]);
    printFigure(
      `from the model's kubectl apply to a Complete batch of ${fewRows} rows: ${Math.round(performance.now() - started)} ms`,
    );
    const status = await statusOf('march');
    expect(status).toMatchObject({ state: 'done', rows: { total: fewRows, done: fewRows, failed: 0 } });
    expect(status.output?.results).toContain('risk_model_results');
    expect(status.metrics?.map((row) => row.class)).toEqual(['0', '1', 'accuracy', 'macro avg', 'weighted avg']);
    expect(await storedRows(status.batchId)).toBe(fewRows);
    expect((await batches.get(status.batchId ?? ''))?.format).toBe('csv');
    // Nobody is needed for its deletion.
    await eventually(async () => expect((await fixture.get('rbatch', 'march'))?.metadata.finalizers).toBeUndefined());

    const table = await fixture.plane.kubectl.run(['-n', 'risk', 'get', 'rbatch']);
    expect(table.split('\n')[0]?.split(/ +/)).toEqual(['NAME', 'STATE', 'DONE', 'TOTAL', 'REJECTED', 'MODEL', 'AGE']);
    expect(table).toMatch(/march +done +3000 +3000 +0 +credit-default +/);
    await eventually(async () => {
      const riskModel = await fixture.get('riskmodels', model);
      expect(riskModel?.['status']).toHaveProperty('lastBatch', {
        id: status.batchId,
        state: 'done',
        rows: { total: fewRows, done: fewRows, failed: 0 },
        finishedAt: status.finishedAt,
      });
    }, 70_000);
  });

  test('that is applied twice is one batch; one of another name is another', async () => {
    await apply('twice', { uri: 'gs://in-put/few.csv' });
    await apply('twice', { uri: 'gs://in-put/few.csv' });
    await apply('other', { uri: 'gs://in-put/few.csv' });
    await waitForVerdict('twice', 'Complete=False Failed=False Queued');
    await waitForVerdict('other', 'Complete=False Failed=False Queued');
    expect(await batches.list({ limit: 10 })).toHaveLength(2);
  });

  test('that fails says why', async () => {
    await startWorker();
    await apply('missing', { uri: 'gs://in-put/nothing.csv' });
    const status = await waitForVerdict('missing', 'Complete=False Failed=True NotFound');
    expect(status).toMatchObject({ state: 'failed', error: { code: 'NotFound' } });
    // Events are told beside the status.
    await eventually(async () => {
      const selector = '--field-selector=reason=NotFound';
      const events = await fixture.plane.kubectl.run(['-n', 'risk', 'get', 'events', selector]);
      expect(events).toContain('batchprediction/missing');
    });
  });

  test('is told of at most every 2 s while it runs, and not at all after', async () => {
    await startWorker();
    await apply('counted', { uri: 'gs://in-put/many.csv' });
    const { startedAt, finishedAt } = await waitForVerdict('counted', 'Complete=True Failed=False Done', 100_000);
    await eventually(async () => expect((await fixture.get('rbatch', 'counted'))?.metadata.finalizers).toBeUndefined());
    const writes = await writesTo('counted');
    const told = writes.filter(({ objectRef }) => objectRef?.subresource === 'status');
    const times = told.map(({ requestReceivedTimestamp }) => Date.parse(requestReceivedTimestamp));
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    const seconds = (Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '')) / 1_000;
    printFigure(
      `${told.length} status writes for a batch of ${seconds.toFixed(1)} s, ${writes.length} writes in all; the smallest gap is ${Math.min(...gaps)} ms`,
    );
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_950);
    expect(told.length).toBeGreaterThan(2);
    await sleep(5_000);
    expect(await writesTo('counted')).toHaveLength(writes.length);
  });

  test('goes on when the operator is started again in the middle, as one batch', async () => {
    await startWorker();
    await apply('restarted', { uri: 'gs://in-put/many.csv' });
    const { id } = await waitForScoring();
    await fixture.stopOperator();
    fixture.run();
    const { batchId } = await waitForVerdict('restarted', 'Complete=True Failed=False Done', 100_000);
    expect(batchId).toBe(id);
    expect(await batches.list({ limit: 10 })).toHaveLength(1);
    expect(await storedRows(id)).toBe(manyRows);
  });

  test('goes after its time', async () => {
    await startWorker();
    // Long enough for its end to be seen before it goes.
    await apply('brief', { uri: 'gs://in-put/few.csv', ttlSecondsAfterFinished: 15 });
    const { finishedAt } = await waitForVerdict('brief', 'Complete=True Failed=False Done');
    await eventually(async () => expect(await fixture.get('rbatch', 'brief')).toBeUndefined(), 60_000);
    const after = Date.now() - Date.parse(finishedAt ?? '');
    printFigure(`with ttlSecondsAfterFinished 15, gone ${after} ms after the end`);
    expect(after).toBeGreaterThanOrEqual(15_000);
  });
});

describe('a run that is deleted', () => {
  test('while it is scored is cancelled, and leaves nothing in the warehouse', async () => {
    await startWorker();
    await apply('regretted', { uri: 'gs://in-put/most.csv' });
    const { id } = await waitForScoring();
    const started = performance.now();
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'rbatch', 'regretted', '--timeout=50s']);
    printFigure(`deleted while it was scored: gone after ${Math.round(performance.now() - started)} ms`);
    expect(await batches.state(id)).toBe('cancelled');
    await sleep(2_000);
    expect(await storedRows(id)).toBe(0);
  });

  test('before a worker took it is cancelled', async () => {
    await apply('waiting', { uri: 'gs://in-put/few.csv' });
    const { batchId = '' } = await waitForVerdict('waiting', 'Complete=False Failed=False Queued');
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'rbatch', 'waiting', '--timeout=50s']);
    expect(await batches.state(batchId)).toBe('cancelled');
  });

  test('while it is committed stays until that has ended', async () => {
    await apply('late', { uri: 'gs://in-put/few.csv' });
    const { batchId = '' } = await waitForVerdict('late', 'Complete=False Failed=False Queued');
    await batches.transition(batchId, ['queued'], 'committing');
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'rbatch', 'late', '--wait=false']);
    await sleep(2_500);
    expect((await fixture.get('rbatch', 'late'))?.metadata.deletionTimestamp).toBeDefined();
    expect(await batches.state(batchId)).toBe('committing');
    await batches.transition(batchId, ['committing'], 'done');
    await eventually(async () => expect(await fixture.get('rbatch', 'late')).toBeUndefined());
  });
});

describe('Redis', () => {
  test('that has lost the record fails the run, which is not started again', async () => {
    await apply('lost', { uri: 'gs://in-put/few.csv' });
    await waitForVerdict('lost', 'Complete=False Failed=False Queued');
    await redis.flushall();
    const { error } = await waitForVerdict('lost', 'Complete=False Failed=True RecordLost');
    expect(error?.code).toBe('RecordLost');
    await fixture.stopOperator();
    fixture.run();
    await sleep(2_500);
    expect(await batches.list({ limit: 10 })).toEqual([]);
  });

  test('that is away keeps the status as it was; the run goes on when it is back', async () => {
    await apply('patient', { uri: 'gs://in-put/few.csv' });
    const before = await waitForVerdict('patient', 'Complete=False Failed=False Queued');
    await redisServer.kill();
    await sleep(6_000);
    expect(await statusOf('patient')).toEqual(before);
    // A model is put right all the same.
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'service', `${model}-worker`, '--ignore-not-found']);
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'networkpolicy', '--all']);
    await eventually(async () => expect(await fixture.list('networkpolicies')).toHaveLength(2));
    const { items } = await fixture.plane.kubectl.json<{ items: { count?: number }[] }>([
      '-n',
      'risk',
      'get',
      'events',
      '--field-selector=reason=RedisUnavailable',
    ]);
    expect(items).toHaveLength(1);

    await redisServer.start();
    await startWorker();
    const started = performance.now();
    const { batchId } = await waitForVerdict('patient', 'Complete=True Failed=False Done');
    printFigure(`after Redis and a worker came back, Complete within ${Math.round(performance.now() - started)} ms`);
    expect(batchId).toBe(before.batchId);
    expect(await storedRows(batchId)).toBe(fewRows);
  });
});
