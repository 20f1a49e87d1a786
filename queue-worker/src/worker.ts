import { Worker, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { commitPause, openQueue, queueName, type PlanJob } from '@riskmodel/core/batches/queue.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { Processors, type WorkerDeps } from './processors.ts';

export interface WorkerOptions {
  redis: Redis;
  /** The BatchStore's. */
  prefix: string;
  /** Jobs under way at once: while one waits for the model or the disk, another reads. */
  concurrency: number;
  /** How long a worker may be silent before another one takes its jobs over. */
  lockMs: number;
}

/** Starts taking jobs of a model's queue. `close()` lets the jobs under way finish. */
export function startWorker(
  manifest: RiskModel,
  deps: WorkerDeps,
  { redis, prefix, concurrency, lockMs }: WorkerOptions,
): Worker {
  const { name } = manifest.metadata;
  const queue = openQueue(name, redis, prefix);
  queue.on('error', () => {});
  const processors = new Processors(manifest, queue, deps);
  const worker = new Worker(queueName(name), (job: Job) => processors.process(job), {
    connection: redis,
    prefix,
    concurrency,
    lockDuration: lockMs,
    stalledInterval: lockMs,
    // A job that takes its worker down each time is given up after this many.
    maxStalledCount: 5,
    settings: { backoffStrategy: commitPause },
  });
  worker.on('closed', () => void queue.close());
  // Redis going away and coming back is told by the connection; here it would only be told again.
  worker.on('error', () => {});
  worker.on('failed', (job, error) => {
    // Told of every attempt; one that will be made again has not finished. A job that stalled too often fails without
    // having been processed, so that nobody else ends its batch.
    // A `schedule` job has no batch yet.
    const batchId = (job?.data as Partial<PlanJob> | undefined)?.batchId;
    if (job?.finishedOn !== undefined && batchId !== undefined) void processors.fail(batchId, error).catch(() => {});
  });
  return worker;
}
