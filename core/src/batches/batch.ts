import type { BatchAction, BatchInputFormat } from '../batchprediction/zz_generated.batchprediction.ts';
import type { ClassificationReport } from '../evaluation/classification-report.ts';

export const batchStates = ['queued', 'planning', 'scoring', 'committing', 'done', 'failed', 'cancelled'] as const;
export type BatchState = (typeof batchStates)[number];

/** States that a batch never leaves. */
export const finalStates: readonly BatchState[] = ['done', 'failed', 'cancelled'];
/** States in which a batch can still be called off: nothing of it is in the warehouse. */
export const cancellableStates: readonly BatchState[] = ['queued', 'planning', 'scoring'];

/** What a request may say that its input is. */
export const batchInputFormats = ['json', 'ndjson', 'csv', 'parquet'] as const satisfies readonly BatchInputFormat[];

/** What may become of a batch's rows. */
export const batchActions = ['Predict', 'LoadFeatures'] as const satisfies readonly BatchAction[];

export function isFinal(state: BatchState): boolean {
  return finalStates.includes(state);
}

/** What `GET /batches/ID` answers. Times are ISO 8601 in UTC. */
export interface Batch {
  id: string;
  model: string;
  input: string;
  /** What becomes of the rows; absent: Predict. */
  action?: BatchAction;
  /** Present when the request said it. */
  format?: BatchInputFormat;
  /** The version of the input, when the batch is of that one and no other. */
  generation?: string;
  state: BatchState;
  /** `total` is null until the input was counted; `failed` are rejected rows. */
  rows: { total: number | null; done: number; failed: number };
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  /** Where the rows lie, once they do. */
  output: {
    results: string | null;
    metrics: string | null;
    rejects: string | null;
    /** The folder with the result files; present once they are there, when the manifest asks for them. */
    files?: string;
  };
  /** Present when the input has the target column. */
  metrics?: ClassificationReport;
  error?: { code: string; message: string };
}
