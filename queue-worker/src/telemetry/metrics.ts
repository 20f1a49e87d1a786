import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { JobName } from '@riskmodel/core/batches/queue.ts';

/** What a worker counts. Labels are models, kinds of job and ends of batches, so that the number of series is bounded. */
export interface WorkerMetrics {
  readonly registry: Registry;
  /** Has a model's series begin at 0, so that the rate of the first batch is known. */
  addModel(model: string): void;
  onJob(model: string, job: JobName, seconds: number, hasFailed: boolean): void;
  /** A batch that this worker brought to its end; `rows` and `seconds` (from its start) are those of one that is done. */
  onBatchDone(model: string, rows: { scored: number; rejected: number }, seconds: number): void;
  onBatchFailed(model: string, code: string): void;
  /** Bytes that a query is billed for. */
  onBytesBilled(model: string, bytes: number): void;
}

const jobBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const batchBuckets = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 14_400];

/** The worker's metrics, in a registry of their own. */
export function makeWorkerMetrics(options: { processMetrics: boolean } = { processMetrics: true }): WorkerMetrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.processMetrics) collectDefaultMetrics({ register: registry });

  const info = new Gauge({
    name: 'riskmodel_worker_info',
    help: 'Always 1: the models whose batches this worker scores.',
    labelNames: ['model'],
    registers,
  });
  const jobSeconds = new Histogram({
    name: 'riskmodel_batch_job_duration_seconds',
    help: 'Seconds that a job of a batch (plan, chunk, commit) took.',
    labelNames: ['model', 'job'],
    buckets: jobBuckets,
    registers,
  });
  const jobFailures = new Counter({
    name: 'riskmodel_batch_job_failures_total',
    help: 'Jobs that failed, those that were tried again included.',
    labelNames: ['model', 'job'],
    registers,
  });
  const batches = new Counter({
    name: 'riskmodel_batches_finished_total',
    help: 'Batches that ended, by how.',
    labelNames: ['model', 'state', 'reason'],
    registers,
  });
  const rows = new Counter({
    name: 'riskmodel_batch_rows_total',
    help: 'Rows of the batches that are done, by what became of them.',
    labelNames: ['model', 'outcome'],
    registers,
  });
  const batchSeconds = new Histogram({
    name: 'riskmodel_batch_duration_seconds',
    help: 'Seconds from the start of a batch to its rows being in the warehouse.',
    labelNames: ['model'],
    buckets: batchBuckets,
    registers,
  });
  const bytesBilled = new Counter({
    name: 'riskmodel_bigquery_bytes_billed_total',
    help: 'Bytes that queries of batches were billed for.',
    labelNames: ['model'],
    registers,
  });

  return {
    registry,
    addModel(model) {
      info.set({ model }, 1);
      batches.inc({ model, state: 'done', reason: '' }, 0);
      for (const outcome of ['scored', 'rejected']) rows.inc({ model, outcome }, 0);
      bytesBilled.inc({ model }, 0);
    },
    onJob(model, job, seconds, hasFailed) {
      jobSeconds.observe({ model, job }, seconds);
      jobFailures.inc({ model, job }, hasFailed ? 1 : 0);
    },
    onBatchDone(model, { scored, rejected }, seconds) {
      batches.inc({ model, state: 'done', reason: '' });
      rows.inc({ model, outcome: 'scored' }, scored);
      rows.inc({ model, outcome: 'rejected' }, rejected);
      batchSeconds.observe({ model }, seconds);
    },
    onBatchFailed(model, code) {
      batches.inc({ model, state: 'failed', reason: code });
    },
    onBytesBilled(model, bytes) {
      bytesBilled.inc({ model }, bytes);
    },
  };
}
