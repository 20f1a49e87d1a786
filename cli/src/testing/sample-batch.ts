import type { Batch } from '@riskmodel/core/batches/batch.ts';

/** A batch of 2,000 rows that took two seconds, with metrics; `changes` make it another. */
export function sampleBatch(changes: Partial<Batch> = {}): Batch {
  return {
    id: '0b6c3a52-7d2f-4a53-8d0e-3f0a7a8e1c11',
    model: 'credit-default',
    input: 'gs://applications/may.parquet',
    state: 'done',
    rows: { total: 2_000, done: 1_997, failed: 3 },
    createdAt: '2026-05-04T08:00:00.000Z',
    startedAt: '2026-05-04T08:00:01.000Z',
    finishedAt: '2026-05-04T08:00:03.000Z',
    output: { results: '/data/results', metrics: '/data/metrics', rejects: '/data/rejects' },
    metrics: [
      { class: '0', precision: 0.9, recall: 0.8, f1Score: 0.847_058_8, support: 1_500 },
      { class: '1', precision: 0.5, recall: 0.6, f1Score: 0.545_454_5, support: 497 },
      { class: 'accuracy', precision: 0.75, recall: 0.75, f1Score: 0.75, support: 1_997 },
      { class: 'macro avg', precision: 0.7, recall: 0.7, f1Score: 0.7, support: 1_997 },
      { class: 'weighted avg', precision: 0.8, recall: 0.75, f1Score: 0.77, support: 1_997 },
    ],
    ...changes,
  };
}
