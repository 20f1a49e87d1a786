import { randomInt } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { Fault } from '../faults/faulty-worker.ts';
import { writeApplicants } from '../harness/applicants.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { faultyWorker, LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';

jest.setTimeout(180_000);

const rows = 5_000;
const input = 'gs://inputs/features.parquet';
const env = { RISKMODEL_WORKER_LOCK_MS: '1500' };

let redis: Redis;
let system: LocalSystem;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string);
});

afterAll(() => redis.quit());

afterEach(() => system.stop());

async function start(redisOptions: { keyPrefix?: string } = {}): Promise<void> {
  const manifest = exampleManifest({ chunkRows: 1_000 });
  manifest.spec['online'] = { features: { redis: redisOptions } };
  system = await LocalSystem.start({ manifest });
}

async function load(uri = input): Promise<string> {
  return (await system.submit(uri, undefined, 'LoadFeatures')).id;
}

/** The file's records as requests would carry them: identifier and features. */
async function recordsOf(uri: string, limit = rows): Promise<Record<string, unknown>[]> {
  const reader = uri.endsWith('.parquet') ? 'read_parquet' : 'read_csv';
  const found = await system.query(`SELECT * EXCLUDE (target) FROM ${reader}('${system.pathOf(uri)}') LIMIT ${limit}`);
  return found.map((record) =>
    Object.fromEntries(
      Object.entries(record).map(([name, value]) => [name, name === 'customer_id' ? String(value) : Number(value)]),
    ),
  );
}

function hashOf(id: unknown): Promise<Record<string, string>> {
  return redis.hgetall(`${system.redisPrefix}:features:credit-default:${String(id)}`);
}

/** Every record of the file is in the store, as it is in the file. */
async function expectLoaded(): Promise<void> {
  const records = await recordsOf(input);
  const hashes = await Promise.all(records.map(({ customer_id }) => hashOf(customer_id)));
  expect(hashes).toEqual(
    records.map((record) =>
      Object.fromEntries(
        Object.entries(record)
          .filter(([name]) => name !== 'customer_id')
          .map(([name, value]) => [name, String(value)]),
      ),
    ),
  );
}

async function post(url: string, path: string, body: unknown): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

test('features that a batch loaded give the bits of a request that carries them, however they are split', async () => {
  await start();
  await writeApplicants({ rows, seed: 8, out: system.pathOf(input) });
  await system.startWorker();
  const { url } = await system.startServer();
  const request = { action: 'LoadFeatures', input };
  const { id } = (await post(url, '/batches', request)).body as { id: string };
  expect(await system.waitForEnd(id)).toMatchObject({
    state: 'done',
    action: 'LoadFeatures',
    rows: { total: rows, done: rows, failed: 0 },
    output: { results: null, metrics: null, rejects: null },
  });
  await expectLoaded();
  expect(await system.fileCount('results')).toBe(0);

  for (const record of await recordsOf(input, 50)) {
    const { customer_id, ...features } = record;
    const whole = await post(url, '/risk-online-prediction', features);
    const kept = Object.entries(features).filter(() => randomInt(2) === 0);
    const split = { customer_id, ...Object.fromEntries(kept) };
    expect(whole.status).toBe(200);
    expect(await post(url, '/risk-online-prediction', split)).toEqual(whole);
    expect(await post(url, '/v1/models/credit-default:predict', { instances: [{ customer_id }] })).toEqual({
      status: 200,
      body: { predictions: [whole.body] },
    });
  }
  const unknown = await post(url, '/risk-online-prediction', { customer_id: 'nobody' });
  expect(unknown.status).toBe(422);
  expect((unknown.body as { detail: unknown[] }).detail[0]).toEqual({
    loc: ['body', 'LIMIT_BAL'],
    msg: 'is neither in the request nor in the feature store',
    type: 'missing',
  });
});

function ownKey(id: string): string {
  return `own-{x}:${id}`;
}

describe('a file with some of the features', () => {
  test('changes those and leaves the others alone; records that do not fit are rejected', async () => {
    await start({ keyPrefix: 'own-{x}:' });
    await redis.hset(ownKey('c1'), { AGE: '30', SEX: '2' });
    const good = Array.from({ length: 200 }, (_, i) => `x${i},35,north`).join('\n');
    const text = `customer_id,AGE,region\nc1,31,south\n,40,west\nc2,7,east\nc1,32,south\n${good}\n`;
    await system.put('gs://inputs/some.csv', { text });
    await system.startWorker();
    const id = await load('gs://inputs/some.csv');
    expect(await system.waitForEnd(id)).toMatchObject({ state: 'done', rows: { total: 204, done: 202, failed: 2 } });
    expect(await redis.hgetall(ownKey('c1'))).toEqual({ AGE: '32', SEX: '2' });
    expect(await redis.exists(ownKey('c2'))).toBe(0);
    expect(
      await system.query(`SELECT record_index::INTEGER AS record, reason FROM ${system.table('rejects')} ORDER BY 1`),
    ).toEqual([
      { record: 1, reason: 'customer_id: is missing' },
      { record: 2, reason: 'AGE: must be >= 18' },
    ]);
    await redis.unlink(ownKey('c1'), ...Array.from({ length: 200 }, (_, i) => ownKey(`x${i}`)));
  });

  test('with too many rejects changes nothing', async () => {
    await start();
    await system.put('gs://inputs/bad.csv', { text: 'customer_id,AGE\nc1,31\nc2,7\n' });
    await system.startWorker();
    const id = await load('gs://inputs/bad.csv');
    expect(await system.waitForEnd(id)).toMatchObject({ state: 'failed', error: { code: 'TooManyRejects' } });
    expect(await hashOf('c1')).toEqual({});
  });

  test.each([
    ['AGE,SEX\n31,1\n', 'the identifier'],
    ['customer_id,region\nc1,north\n', 'any feature'],
  ])('that is %j lacks %s and is refused', async (text, what) => {
    await start();
    await system.put('gs://inputs/bad.csv', { text });
    await system.startWorker();
    const { error } = await system.waitForEnd(await load('gs://inputs/bad.csv'));
    expect(error?.code).toBe('MissingColumns');
    expect(error?.message).toContain(what);
  });
});

describe('loading features, after the first few', () => {
  const fault: Fault = 'loading features, after the first few';

  test('the worker is killed with -9: the next one finishes', async () => {
    await start();
    await writeApplicants({ rows, seed: 9, out: system.pathOf(input) });
    const id = await load();
    const faulty = await system.startWorker({ ...env, TEST_FAULT: fault }, faultyWorker).catch(() => undefined);
    await eventually(async () => expect(faulty?.isRunning ?? false).toBe(false), 60_000);
    expect(await system.batches.state(id)).toBe('committing');
    await system.startWorker(env);
    expect(await system.waitForEnd(id)).toMatchObject({ state: 'done', rows: { done: rows, failed: 0 } });
    await expectLoaded();
  });

  test('it fails twice: the step is tried again', async () => {
    await start();
    await writeApplicants({ rows, seed: 9, out: system.pathOf(input) });
    const worker = await system.startWorker({ ...env, TEST_FAULT: fault, TEST_FAILURES: '2' }, faultyWorker);
    const id = await load();
    expect(await system.waitForEnd(id)).toMatchObject({ state: 'done', rows: { done: rows, failed: 0 } });
    await expectLoaded();
    const { seconds } = JSON.parse(await worker.waitForLine(/features loaded/)) as { seconds: number };
    printFigure(`${rows} records of 23 features loaded: ${Math.round(rows / seconds)} records/s by one worker`);
  });
});

test('a model without a feature store takes no such batch', async () => {
  system = await LocalSystem.start();
  const { url } = await system.startServer();
  expect(await post(url, '/batches', { action: 'LoadFeatures', input })).toEqual({
    status: 422,
    body: {
      detail: [
        {
          loc: ['body', 'action'],
          msg: 'must be Predict: model "credit-default" has no feature store (spec.online.features)',
          type: 'enum',
        },
      ],
    },
  });
  await system.startWorker();
  expect(await system.waitForEnd(await load())).toMatchObject({
    state: 'failed',
    error: { code: 'NoFeatureStore' },
  });
});
