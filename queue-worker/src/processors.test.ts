import { describe, expect, test } from '@jest/globals';
import { UnrecoverableError, type Job, type Queue } from 'bullmq';
import { commitJobOptions, jobOptions } from '@riskmodel/core/batches/queue.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { Processors, type WorkerDeps } from './processors.ts';
import { makeWorkerMetrics } from './telemetry/metrics.ts';

const manifest = { metadata: { name: 'loans' } } as RiskModel;

/** A job whose batch can't even be looked up, for the given reason. Returns what it failed with, and the batch's moves. */
async function failingJob(
  job: Partial<Job>,
  reason: Error,
  list: () => AsyncIterable<never> = async function* () {},
): Promise<{ error: unknown; moves: string[] }> {
  const moves: string[] = [];
  const deps = {
    batches: {
      plan: () => Promise.reject(reason),
      state: () => Promise.reject(reason),
      get: async () => ({ state: 'done' }),
      transition: async (_id: string, _from: string[], to: string) => moves.push(to) > 0,
    },
    store: { list, delete: async () => {} },
    logger: { warn: () => {}, error: () => {}, info: () => {} },
    metrics: makeWorkerMetrics({ processMetrics: false }),
    now: () => new Date(0),
    stagingUri: 'gs://staging',
  } as unknown as WorkerDeps;
  const processors = new Processors(manifest, {} as Queue, deps);
  const error: unknown = await processors.process({ data: { batchId: 'b' }, ...job } as Job).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { error, moves };
}

describe('a job that failed 8 times for what may pass', () => {
  const away = new RiskModelError('BigQueryUnavailable', 'no answer', { retry: 'later' });
  const attemptsMade = jobOptions.attempts - 1;

  test('ends its batch when it is a chunk', async () => {
    const { error, moves } = await failingJob({ name: 'chunk', attemptsMade, opts: jobOptions }, away);
    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(moves).toEqual(['failed']);
  });

  test('is tried again when it is the commit, whose rows may be there already', async () => {
    const { error, moves } = await failingJob({ name: 'commit', attemptsMade, opts: commitJobOptions }, away);
    expect(error).toBe(away);
    expect(moves).toEqual([]);
  });

  test('ends its batch when all but looking up is done, as nothing is open then', async () => {
    const full = new RiskModelError('LookupFailed', 'Redis is full', { retry: 'later' });
    const { error, moves } = await failingJob({ name: 'commit', attemptsMade, opts: commitJobOptions }, full);
    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(moves).toEqual(['failed']);
  });
});

test('a commit that can never succeed ends its batch at once', async () => {
  const denied = new RiskModelError('AccessDenied', 'no');
  const { error, moves } = await failingJob({ name: 'commit', attemptsMade: 0, opts: commitJobOptions }, denied);
  expect(error).toBeInstanceOf(UnrecoverableError);
  expect(moves).toEqual(['failed']);
});

describe('staged objects that can not be removed', () => {
  const denied = new RiskModelError('AccessDenied', 'no');
  const away = new RiskModelError('StorageUnavailable', 'no answer', { retry: 'later' });
  // oxlint-disable-next-line require-yield
  async function* failing(): AsyncIterable<never> {
    throw away;
  }

  test('are tried again, by the commit of a batch that has ended too', async () => {
    const job = { name: 'commit', attemptsMade: 6, opts: commitJobOptions };
    expect((await failingJob(job, denied, failing)).error).toBe(away);
  });

  test('are tried again by the planning of a batch that has ended, which may have been all of its work', async () => {
    const job = { name: 'plan', attemptsMade: 6, opts: jobOptions };
    expect((await failingJob(job, denied, failing)).error).toBe(away);
    expect((await failingJob({ ...job, attemptsMade: 7 }, denied, failing)).error).toBeUndefined();
    expect((await failingJob(job, denied)).error).toBeUndefined();
  });

  test('are left to the bucket after 8 failures, though a commit is never given up', async () => {
    const job = { name: 'commit', attemptsMade: 7, opts: commitJobOptions };
    expect((await failingJob(job, denied, failing)).error).toBeInstanceOf(UnrecoverableError);
  });
});
