import { createHash, randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { BatchAction, BatchInputFormat } from '../batchprediction/zz_generated.batchprediction.ts';
import { RiskModelError } from '../errors.ts';
import type { Batch } from './batch.ts';
import type { BatchStore } from './batch-store.ts';

/** One queue a model, so that a model's workers can be scaled on its own backlog. */
export function queueName(model: string): string {
  return `batch.${model}`;
}

/** Opens the producing side of a model's queue. `prefix` is the BatchStore's. */
export function openQueue(model: string, redis: Redis, prefix: string): Queue {
  return new Queue(queueName(model), { connection: redis, prefix, defaultJobOptions: jobOptions });
}

/** What may pass (I/O, a restarting service) is tried again for about five minutes; a job's record goes with the job. */
export const jobOptions = {
  attempts: 8,
  backoff: { type: 'exponential', delay: 1_000, jitter: 0.5 },
  removeOnComplete: true,
  removeOnFail: { age: 7 * 24 * 3600, count: 1_000 },
} as const;

/** The longest pause before a commit is tried again, in milliseconds. */
const longestCommitPause = 5 * 60_000;

/**
 * A commit is never given up for what may pass: its rows may be in the warehouse already, which nobody can tell until
 * the warehouse answers, so that it can't be said to have failed. Its pauses grow like those of other jobs, to five
 * minutes.
 */
export const commitJobOptions = {
  ...jobOptions,
  attempts: Number.MAX_SAFE_INTEGER,
  backoff: { type: 'commit' },
} as const;

/** Milliseconds before a commit is tried again: BullMQ's strategy for `commitJobOptions`. */
export function commitPause(attemptsMade: number): number {
  const { delay, jitter } = jobOptions.backoff;
  const longest = Math.min(delay * 2 ** (attemptsMade - 1), longestCommitPause);
  return Math.round(longest * (1 - jitter * Math.random()));
}

/** The names of the jobs that a batch consists of; `chunk` jobs are the children of `commit`. */
export type BatchJobName = 'plan' | 'chunk' | 'commit';
/** The names of all jobs of a model's queue; `schedule` starts a batch by the clock (see schedules.ts). */
export type JobName = BatchJobName | 'schedule';

export interface PlanJob {
  batchId: string;
}

export interface BatchRequest {
  model: string;
  /** What becomes of the rows; absent: Predict. */
  action?: BatchAction | undefined;
  /** The URI of the input. */
  input: string;
  /** The input's format, where its name and first bytes don't tell it. */
  format?: BatchInputFormat | undefined;
  /** The version of the input to score; absent: the one that is there when the batch is planned. */
  generation?: string | undefined;
  /** Two requests with the same key are one batch. */
  idempotencyKey?: string | undefined;
}

/** What submitting a batch needs; `queue` is the model's. */
export interface SubmitDeps {
  store: BatchStore;
  queue: Queue;
  now: () => Date;
}

/**
 * Records a batch and queues its planning. Repeated with the same idempotency key it answers the batch that is there;
 * repeated after a crash in the middle it finishes what the crash left out.
 *
 * @throws RiskModelError `IdempotencyKeyReused` when the key was used for another input
 */
export async function submitBatch(request: BatchRequest, { store, queue, now }: SubmitDeps): Promise<Batch> {
  const { model, input, format, generation } = request;
  const action = request.action === 'LoadFeatures' ? request.action : undefined;
  const id = batchIdOf(request, store.prefix);
  await store.create({
    id,
    model,
    ...(action && { action }),
    input,
    ...(format && { format }),
    ...(generation && { generation }),
    createdAt: now().toISOString(),
  });
  const batch = (await store.get(id)) as Batch;
  if (batch.input !== input || batch.format !== format || batch.action !== action) {
    throw new RiskModelError(
      'IdempotencyKeyReused',
      'idempotencyKey: was already used for a batch with another input; use a new key for a new batch',
    );
  }
  if (batch.state === 'queued') await queuePlanning(id, queue);
  return batch;
}

/** Queues the planning of a recorded batch. Queued already, it is not queued again. */
export async function queuePlanning(batchId: string, queue: Queue): Promise<void> {
  await queue.add('plan', { batchId } satisfies PlanJob, { jobId: `${batchId}.plan` });
}

/**
 * The id that a request's batch has or gets. Without an idempotency key it is another one each time.
 *
 * @param prefix the BatchStore's: installations may use the same keys, but their batches are different ones, also in a
 * warehouse that they share
 */
export function batchIdOf(
  { model, idempotencyKey }: Pick<BatchRequest, 'model' | 'idempotencyKey'>,
  prefix: string,
): string {
  if (idempotencyKey === undefined) return randomUUID();
  // A UUID (version 8, RFC 9562) made of the key, so that the same key is the same batch with nothing to look up.
  const hex = createHash('sha256').update(`${prefix}\0${model}\0${idempotencyKey}`).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}
