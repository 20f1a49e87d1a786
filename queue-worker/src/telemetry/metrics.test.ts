import { expect, test } from '@jest/globals';
import { makeWorkerMetrics, type WorkerMetrics } from './metrics.ts';

async function value(
  metrics: WorkerMetrics,
  name: string,
  labels: Record<string, string>,
): Promise<number | undefined> {
  const metric = await metrics.registry.getSingleMetric(name)?.get();
  const found = metric?.values.find((candidate) =>
    Object.entries(labels).every(([label, text]) => candidate.labels[label] === text),
  );
  return found?.value;
}

test('a model is there at 0 before its first batch', async () => {
  const metrics = makeWorkerMetrics({ processMetrics: false });
  metrics.addModel('credit');
  expect(await value(metrics, 'riskmodel_worker_info', { model: 'credit' })).toBe(1);
  expect(await value(metrics, 'riskmodel_batches_finished_total', { model: 'credit', state: 'done' })).toBe(0);
  expect(await value(metrics, 'riskmodel_batch_rows_total', { model: 'credit', outcome: 'rejected' })).toBe(0);
  expect(await value(metrics, 'riskmodel_bigquery_bytes_billed_total', { model: 'credit' })).toBe(0);
});

test('counts batches, rows, jobs and bytes', async () => {
  const metrics = makeWorkerMetrics({ processMetrics: false });
  metrics.onJob('credit', 'chunk', 0.2, false);
  metrics.onJob('credit', 'chunk', 0.2, true);
  metrics.onBatchDone('credit', { scored: 99, rejected: 1 }, 3);
  metrics.onBatchFailed('credit', 'TooManyRejects');
  metrics.onBytesBilled('credit', 1e9);
  expect(await value(metrics, 'riskmodel_batch_job_failures_total', { model: 'credit', job: 'chunk' })).toBe(1);
  expect(await value(metrics, 'riskmodel_batch_rows_total', { outcome: 'scored' })).toBe(99);
  expect(await value(metrics, 'riskmodel_batches_finished_total', { state: 'failed', reason: 'TooManyRejects' })).toBe(
    1,
  );
  expect(await value(metrics, 'riskmodel_bigquery_bytes_billed_total', { model: 'credit' })).toBe(1e9);
});
