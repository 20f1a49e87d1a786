import type { BatchInputFormat } from '../batchprediction/zz_generated.batchprediction.ts';
import type { ClassificationReport } from '../evaluation/classification-report.ts';

export const batchStates = ['queued', 'planning', 'scoring', 'committing', 'done', 'failed', 'cancelled'] as const;
export type BatchState = (typeof batchStates)[number];

/** States that a batch never leaves. */
export const finalStates: readonly BatchState[] = ['done', 'failed', 'cancelled'];
/** States in which a batch can still be called off: nothing of it is in the warehouse. */
export const cancellableStates: readonly BatchState[] = ['queued', 'planning', 'scoring'];

export function isFinal(state: BatchState): boolean {
  return finalStates.includes(state);
}

/** What `GET /batches/ID` answers. Times are ISO 8601 in UTC. */
export interface Batch {
  id: string;
  model: string;
  input: string;
  /** Present when the request said it. */
  format?: BatchInputFormat;
  state: BatchState;
  /** `total` is null until the input was counted; `failed` are rejected rows. */
  rows: { total: number | null; done: number; failed: number };
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  /** Where the rows lie, once they do. */
  output: { results: string | null; metrics: string | null; rejects: string | null };
  /** Present when the input has the target column. */
  metrics?: ClassificationReport;
  error?: { code: string; message: string };
}
