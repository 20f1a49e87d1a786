import { createHash, randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { BatchInputFormat } from '../batchprediction/zz_generated.batchprediction.ts';
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

/** The names of the jobs that a batch consists of; `chunk` jobs are the children of `commit`. */
export type BatchJobName = 'plan' | 'chunk' | 'commit';
/** The names of all jobs of a model's queue; `schedule` starts a batch by the clock (see schedules.ts). */
export type JobName = BatchJobName | 'schedule';

export interface PlanJob {
  batchId: string;
}

export interface BatchRequest {
  model: string;
  /** The URI of the input. */
  input: string;
  /** The input's format, where its name and first bytes don't tell it. */
  format?: BatchInputFormat | undefined;
  /** Two requests with the same key are one batch. */
  idempotencyKey?: string | undefined;
}

/**
 * Records a batch and queues its planning. Repeated with the same idempotency key it answers the batch that is there;
 * repeated after a crash in the middle it finishes what the crash left out.
 *
 * @throws RiskModelError `IdempotencyKeyReused` when the key was used for another input
 */
export async function submitBatch(
  request: BatchRequest,
  { store, queue, now }: { store: BatchStore; queue: Queue; now: () => Date },
): Promise<Batch> {
  const { model, input, format } = request;
  const id = batchIdOf(request);
  await store.create({ id, model, input, ...(format && { format }), createdAt: now().toISOString() });
  const batch = (await store.get(id)) as Batch;
  if (batch.input !== input || batch.format !== format) {
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

/** The id that a request's batch has or gets. Without an idempotency key it is another one each time. */
export function batchIdOf({ model, idempotencyKey }: Pick<BatchRequest, 'model' | 'idempotencyKey'>): string {
  if (idempotencyKey === undefined) return randomUUID();
  // A UUID (version 8, RFC 9562) made of the key, so that the same key is the same batch with nothing to look up.
  const hex = createHash('sha256').update(`${model}\0${idempotencyKey}`).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}
