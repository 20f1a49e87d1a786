import { expect, test } from '@jest/globals';
import type { RiskModel } from '../riskmodel/zz_generated.riskmodel.ts';
import { validateRiskModel } from '../riskmodel/manifest.ts';
import { BigQueryApi, RefusedCall, type ApiRequest } from './bigquery-api.ts';
import type { WarehouseScoring } from './bigquery-ml.ts';
import { BigQueryScoring } from './bigquery-scoring.ts';

const manifest = validateRiskModel({
  apiVersion: 'riskmodel.io/v1alpha1',
  kind: 'RiskModel',
  metadata: { name: 'loans' },
  spec: {
    artifact: { uri: 'gs://models/loans.onnx', format: 'ONNX' },
    features: [{ name: 'income', type: 'Number' }],
    target: 'outcome',
  },
}).model as RiskModel;

const scoring: WarehouseScoring = {
  manifest,
  batchId: 'batch-1',
  modelVersion: '1',
  modelSha256: 'a'.repeat(64),
  predDatetime: '2026-11-24T10:00:00.000Z',
  source: 'bank.risk.applicants',
  columns: [{ name: 'income', type: 'FLOAT64', sourceType: 'FLOAT64', role: 'feature' }],
  results: 'bank.riskmodel.risk_model_results',
  model: 'bank.riskmodel.loans',
  inputName: 'X',
  outputName: 'probabilities',
};

/** BigQuery with answers by the beginning of `METHOD PATH`; others are refused. */
class AnsweringApi extends BigQueryApi {
  readonly #answers: Record<string, object>;

  constructor(answers: Record<string, object>) {
    const clock = { now: () => 0, random: () => 1, sleep: async () => {} };
    super({ project: 'bank', endpoint: 'http://127.0.0.1:1', clock });
    this.#answers = answers;
  }

  override async call<T>({ method, uri }: ApiRequest): Promise<T> {
    const key = Object.keys(this.#answers).find((start) => `${method} ${uri}`.startsWith(start));
    if (key === undefined) throw new RefusedCall({ status: 409, message: `${method} ${uri}` });
    return this.#answers[key] as T;
  }
}

function open(answers: Record<string, object>): { scoring: BigQueryScoring; billed: [model: string, bytes: number][] } {
  const billed: [string, number][] = [];
  const settings = {
    jobTimeout: 1_000,
    locationOf: async () => 'EU',
    onBytesBilled: (model: string, bytes: number) => void billed.push([model, bytes]),
  };
  return { scoring: new BigQueryScoring(new AnsweringApi(answers), settings), billed };
}

const counted = {
  jobComplete: true,
  jobReference: { jobId: 'job-1' },
  schema: { fields: [{ name: 'total' }, { name: 'accepted' }] },
  rows: [{ f: [{ v: '10' }, { v: '9' }] }],
};
const done = { status: { state: 'DONE' }, statistics: { query: { totalBytesBilled: '20971520' } } };

test.each<[why: string, answers: Record<string, object>, bytes: number]>([
  ['at once, its answer says so', { 'POST /queries': { ...counted, totalBytesBilled: '10485760' } }, 10_485_760],
  [
    'later, its job does',
    { 'POST /queries': { ...counted, jobComplete: false }, 'GET /queries/job-1': counted, 'GET /jobs/job-1': done },
    20_971_520,
  ],
  ['and its job is not told of, nothing is counted', { 'POST /queries': counted }, 0],
])('what a query is billed for is told: when it ends %s', async (_, answers, bytes) => {
  const opened = open(answers);
  expect(await opened.scoring.countRows(scoring)).toEqual({ total: 10, accepted: 9 });
  expect(opened.billed).toEqual([['loans', bytes]]);
});

test('what a statement is billed for is told by whoever started it alone', async () => {
  const first = open({ 'POST /jobs': {}, 'GET /jobs/': done });
  expect(await first.scoring.score(scoring, 'gs://staging/model.onnx')).toBe(true);
  // The import of the model, and the scoring.
  expect(first.billed).toEqual([
    ['loans', 20_971_520],
    ['loans', 20_971_520],
  ]);
  const second = open({ 'GET /jobs/': done });
  expect(await second.scoring.score(scoring, 'gs://staging/model.onnx')).toBe(false);
  expect(second.billed).toEqual([]);
});
