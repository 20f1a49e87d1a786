import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { openQueue } from '@riskmodel/core/batches/queue.ts';
import { expandInput } from '@riskmodel/core/batches/schedules.ts';
import type { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { writeApplicants } from '../harness/applicants.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import { OperatorFixture } from './operator-fixture.ts';

jest.setTimeout(300_000);
/** The first run on a machine builds Kubernetes. */
const buildTimeoutMs = 80 * 60_000;
const model = 'credit-default';
const installation = `test-${randomUUID().slice(0, 8)}`;
/** The operator's prefix with the model's namespace. */
const prefix = `${installation}:risk`;

const nightly = { name: 'nightly', cron: '0 3 * * *', timeZone: 'Europe/Berlin', input: 'gs://in-put/{{date}}.csv' };
const monthly = { name: 'monthly', cron: '0 0 1 * *', input: 'gs://in-put/month.csv' };
const everyMinute = { ...nightly, name: 'often', cron: '* * * * *' };

let redis: Redis;
let queue: Queue;
let batches: BatchStore;
let fixture: OperatorFixture;
let system: LocalSystem;

beforeAll(async () => {
  redis = new Redis(process.env['REDIS_URL'] as string, { maxRetriesPerRequest: null });
  queue = openQueue(model, redis, prefix);
  batches = new BatchStore(redis, prefix);
  system = await LocalSystem.start({ manifest: exampleManifest({ schedules: [everyMinute] }) });
  fixture = await OperatorFixture.start();
  fixture.run({ redisPrefix: installation });
}, buildTimeoutMs);

afterAll(async () => {
  await fixture?.stop();
  await system?.stop();
  await queue?.obliterate({ force: true });
  await queue?.close();
  redis?.disconnect();
});

async function applySchedules(schedules: unknown[]): Promise<void> {
  await fixture.applyModel(model, { batch: { schedules } });
}

/** What a queue's schedulers are, by key. */
async function schedulersOf(ofQueue = queue): Promise<Record<string, string>> {
  const all = await ofQueue.getJobSchedulers();
  return Object.fromEntries(all.map(({ key, pattern, tz }) => [key, `${pattern} ${tz}`]));
}

describe('the schedules of a model', () => {
  test('are in Redis, and follow the spec', async () => {
    await applySchedules([nightly, monthly]);
    await eventually(async () =>
      expect(await schedulersOf()).toEqual({ nightly: '0 3 * * * Europe/Berlin', monthly: '0 0 1 * * UTC' }),
    );
    const started = performance.now();
    await applySchedules([{ ...nightly, cron: '30 4 * * 1-5' }]);
    await eventually(async () => expect(await schedulersOf()).toEqual({ nightly: '30 4 * * 1-5 Europe/Berlin' }));
    printFigure(`from kubectl apply to a changed schedule in Redis: ${Math.round(performance.now() - started)} ms`);
    expect(await queue.getDelayedCount()).toBe(1);
  });

  test('are left alone as long as they are as they should be', async () => {
    const [before] = await queue.getDelayed();
    await fixture.stopOperator();
    fixture.run({ redisPrefix: installation });
    await fixture.applyModel(model, { batch: { schedules: [{ ...nightly, cron: '30 4 * * 1-5' }], chunkRows: 2_000 } });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const [after] = await queue.getDelayed();
    expect([after?.id, after?.timestamp]).toEqual([before?.id, before?.timestamp]);
  });

  test('are set again when somebody took them out of Redis', async () => {
    await queue.removeJobScheduler('nightly');
    await fixture.stopOperator();
    fixture.run({ redisPrefix: installation });
    await eventually(async () => expect(Object.keys(await schedulersOf())).toEqual(['nightly']));
  });

  test('that can not be read are refused in words, and the old ones stay', async () => {
    await applySchedules([{ ...nightly, cron: '61 3 * * *' }]);
    await eventually(async () => {
      const status = (await fixture.get('riskmodels', model))?.['status'] as {
        conditions: { type: string; reason: string; message: string }[];
      };
      expect(status.conditions.find(({ type }) => type === 'Progressing')).toMatchObject({
        reason: 'InvalidManifest',
        message:
          'spec.batch.schedules[0].cron: can\'t be read as a cron expression: "61 3 * * *": Constraint error, got value 61 expected range 0-59',
      });
    });
    expect(await schedulersOf()).toEqual({ nightly: '30 4 * * 1-5 Europe/Berlin' });
  });
});

test('a schedule that comes up with no worker there is put in line; a worker then scores the file of that day', async () => {
  const rows = 2_000;
  await applySchedules([everyMinute]);
  let due = 0;
  await eventually(async () => {
    const [scheduler] = await queue.getJobSchedulers();
    expect(scheduler?.key).toBe('often');
    due = scheduler?.next ?? 0;
  });
  const input = expandInput(everyMinute.input, new Date(due), 'Europe/Berlin');
  expect(input).toMatch(/^gs:\/\/in-put\/\d{4}-\d\d-\d\d\.csv$/);
  await writeApplicants({ rows, seed: 1, out: system.pathOf(input) });
  await eventually(async () => expect(await queue.getWaitingCount()).toBe(1), 70_000);
  const lateMs = Date.now() - due;
  printFigure(`a schedule that came up with no worker there was in line, where KEDA sees it, after ${lateMs} ms`);

  // Two of them, and the moment's job is one.
  const env = { RISKMODEL_REDIS_PREFIX: prefix, RISKMODEL_SCHEDULES: 'operator' };
  await Promise.all([system.startWorker(env), system.startWorker(env)]);
  await eventually(async () => {
    const ended = await batches.list({ model, limit: 10 });
    expect(ended).toMatchObject([{ input, state: 'done', rows: { total: rows } }]);
  }, 50_000);
  await eventually(async () => {
    const riskModel = await fixture.get('riskmodels', model);
    expect(riskModel?.['status']).toMatchObject({ lastBatch: { state: 'done', rows: { total: rows } } });
  }, 90_000);
  // The next one is waited for.
  const [scheduler] = await queue.getJobSchedulers();
  expect(scheduler?.next).toBeGreaterThan(due);
});

test('deleted, a model takes its schedules along', async () => {
  await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'riskmodel', model, '--timeout=50s']);
  expect(await schedulersOf()).toEqual({});
  expect(await queue.getDelayedCount()).toBe(0);
});

test('on one machine the worker sets them when it starts', async () => {
  const local = `${installation}-local`;
  await system.startWorker({ RISKMODEL_REDIS_PREFIX: local });
  const localQueue = openQueue(model, redis, local);
  expect(await schedulersOf(localQueue)).toEqual({ often: '* * * * * Europe/Berlin' });
  await localQueue.obliterate({ force: true });
  await localQueue.close();
});
