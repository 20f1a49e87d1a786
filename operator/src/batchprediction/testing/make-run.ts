import type { Batch } from '@riskmodel/core/batches/batch.ts';
import type {
  BatchPrediction,
  BatchPredictionSpec,
} from '@riskmodel/core/batchprediction/zz_generated.batchprediction.ts';

/** A BatchPrediction as the API server would hand it out. */
export function makeRun(
  spec: Partial<BatchPredictionSpec> = {},
  { metadata, ...fields }: Partial<BatchPrediction> = {},
): BatchPrediction {
  return {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'BatchPrediction',
    metadata: {
      name: 'march',
      namespace: 'risk',
      uid: '5f0c7a1e-0000-4000-8000-000000000002',
      resourceVersion: '10',
      generation: 1,
      ...metadata,
    },
    spec: { model: 'credit', action: 'Predict', input: { uri: 'gs://in-put/march.csv' }, ...spec },
    ...fields,
  };
}

/** A batch's record. */
export function makeBatch(fields: Partial<Batch> = {}): Batch {
  return {
    id: 'b-1',
    model: 'credit',
    input: 'gs://in-put/march.csv',
    state: 'queued',
    rows: { total: null, done: 0, failed: 0 },
    createdAt: '2025-03-01T09:59:00.000Z',
    startedAt: null,
    finishedAt: null,
    output: { results: null, metrics: null, rejects: null },
    ...fields,
  };
}
