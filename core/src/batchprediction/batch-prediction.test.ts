import { describe, expect, test } from '@jest/globals';
import { batchInputFormats, batchStates } from '../batches/batch.ts';
import { classificationReport } from '../evaluation/classification-report.ts';
import { batchPredictionCrdFile, readResourceKind } from '../riskmodel/resource-kind.ts';
import type { StructuralSchema } from '../riskmodel/structural-schema.ts';
import { validateBatchPrediction } from './batch-prediction.ts';
import { validationCases } from './validation-cases.ts';

const smallest = {
  apiVersion: 'riskmodel.io/v1alpha1',
  kind: 'BatchPrediction',
  metadata: { name: 'march' },
  spec: { model: 'credit-default', input: { uri: 'gs://applications/march.parquet' } },
};

describe('validateBatchPrediction', () => {
  test.each(validationCases)('$name', ({ manifest, problems }) => {
    const found = validateBatchPrediction(manifest).problems;
    expect(found.map(({ path, message }) => `${path}: ${message}`)).toEqual(problems);
  });

  test('refuses a file that would lie outside of its bucket', () => {
    const outside = { ...smallest, spec: { ...smallest.spec, input: { uri: 'gs://applications/../march.parquet' } } };
    expect(validateBatchPrediction(outside).problems).toEqual([
      {
        path: 'spec.input.uri',
        message: 'must not have "." or ".." as a part of its path: it would lead out of the bucket',
      },
    ]);
  });

  test('returns a copy, with what is left out in place', () => {
    const { batchPrediction } = validateBatchPrediction(smallest);
    expect(batchPrediction).toEqual({ ...smallest, spec: { ...smallest.spec, action: 'Predict' } });
    expect(batchPrediction).not.toBe(smallest);
  });

  test('accepts what the API server and the operator add to an object', () => {
    const stored = {
      ...smallest,
      spec: { ...smallest.spec, action: 'Predict' },
      metadata: { name: 'march', namespace: 'risk', uid: 'ab0c', generation: 1, finalizers: ['riskmodel.io/batch'] },
      status: {
        observedGeneration: 1,
        conditions: [
          {
            type: 'Complete',
            status: 'True',
            reason: 'Done',
            message: '2 of 3 rows are scored, 1 is rejected',
            lastTransitionTime: '2026-03-01T02:03:04Z',
          },
        ],
        batchId: 'b1',
        state: 'done',
        rows: { total: 3, done: 2, failed: 1 },
        startedAt: '2026-03-01T02:03:00Z',
        finishedAt: '2026-03-01T02:03:04Z',
        output: { results: 'riskmodel.risk_model_results', metrics: 'riskmodel.risk_model_metrics' },
        metrics: classificationReport({ trueNegatives: 1, falsePositives: 0, falseNegatives: 0, truePositives: 1 }),
      },
    };
    expect(validateBatchPrediction(stored)).toEqual({ batchPrediction: stored, problems: [] });
  });

  test.each([
    { name: 'null', object: null, problems: [': must be a mapping, not null'] },
    { name: 'a list', object: [], problems: [': must be a mapping, not a list'] },
    {
      name: 'another kind',
      object: { ...smallest, kind: 'RiskModel', spec: {} },
      problems: ['kind: must be BatchPrediction, not "RiskModel"'],
    },
    { name: 'no kind', object: { spec: {} }, problems: ['apiVersion: is required', 'kind: is required'] },
  ])('says of $name what it must be, and no more', ({ object, problems }) => {
    const found = validateBatchPrediction(object).problems;
    expect(found.map(({ path, message }) => `${path}: ${message}`)).toEqual(problems);
  });
});

interface Field {
  path: string;
  field: StructuralSchema;
}

function fields(parent: StructuralSchema, path: string): Field[] {
  const children = Object.entries(parent.properties ?? {}).map(([name, field]) => ({ path: `${path}.${name}`, field }));
  if (parent.items) children.push({ path: `${path}[]`, field: parent.items });
  return children.flatMap((child) => [child].concat(fields(child.field, child.path)));
}

describe('the CRD of BatchPrediction', () => {
  const { apiVersion, kind, schema } = readResourceKind(batchPredictionCrdFile);
  const spec = schema.properties?.['spec'] ?? {};
  const status = schema.properties?.['status'] ?? {};
  const all = [...fields(spec, 'spec'), ...fields(status, 'status')];

  test('declares the kind that the contract names', () => {
    expect([apiVersion, kind]).toEqual(['riskmodel.io/v1alpha1', 'BatchPrediction']);
  });

  test('describes every field, for kubectl explain', () => {
    expect(all.filter(({ field }) => field.description === undefined).map(({ path }) => path)).toEqual([]);
  });

  test('bounds every string and list, so that the cost of rules has a bound', () => {
    const boundless = all.filter(
      ({ field }) =>
        (field.type === 'array' && field.maxItems === undefined) ||
        (field.type === 'string' && !field.maxLength && !field.enum && field.format !== 'date-time'),
    );
    expect(boundless.map(({ path }) => path)).toEqual([]);
  });

  test('lets nobody change a spec', () => {
    expect(spec['x-kubernetes-validations']?.map(({ rule }) => rule)).toContain('self == oldSelf');
  });

  test('knows every state that a batch can be in', () => {
    expect(status.properties?.['state']?.enum).toEqual(batchStates);
  });
});

test('an input can be said to have the formats that a request over HTTP can name', () => {
  const { spec } = readResourceKind(batchPredictionCrdFile).schema.properties ?? {};
  expect(spec?.properties?.['input']?.properties?.['format']?.enum).toEqual(batchInputFormats);
});
