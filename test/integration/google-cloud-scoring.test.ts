import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { validateRiskModel } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { scoreRowsSql, type WarehouseScoring } from '@riskmodel/core/warehouse/bigquery-ml.ts';
import { BigQueryWarehouse } from '@riskmodel/core/warehouse/bigquery.ts';
import { resultsTable } from '@riskmodel/core/warehouse/tables.ts';
import { eventually } from '../harness/eventually.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import { GoogleCloud, isRealProject, whyNoGoogleCloud } from '../harness/google-cloud.ts';

jest.setTimeout(isRealProject ? 600_000 : 180_000);

const reason = await whyNoGoogleCloud();

const manifest = validateRiskModel({
  apiVersion: 'riskmodel.io/v1alpha1',
  kind: 'RiskModel',
  metadata: { name: 'credit' },
  spec: {
    artifact: { uri: 'gs://models/a.onnx', format: 'ONNX' },
    features: [
      { name: 'AGE', type: 'Integer', minimum: 18, maximum: 120 },
      { name: 'RATIO', type: 'Number', whenMissing: 'NaN' },
      { name: 'OWNER', type: 'Boolean' },
    ],
    identifier: 'id',
    target: 'outcome',
    decision: { threshold: 0.25 },
  },
}).model as RiskModel;

// The emulator has no ML functions: of the statement that scores, everything but ML.PREDICT is run.
(reason === undefined && !isRealProject ? describe : describe.skip)('scoring in BigQuery', () => {
  const source = `applicants_${randomUUID().slice(0, 8)}`;
  let cloud: GoogleCloud;
  let warehouse: BigQueryWarehouse;
  let scoring: WarehouseScoring;

  beforeAll(async () => {
    cloud = await GoogleCloud.start();
    warehouse = new BigQueryWarehouse({ project: cloud.project, ...cloud.endpoint, maximumBytesBilled: 1e9 });
    await cloud.query(
      `CREATE TABLE ${source} (id INT64, AGE INT64, RATIO FLOAT64, OWNER BOOL, outcome INT64, born DATE, tags ARRAY<STRING>)`,
    );
    await cloud.query(
      `INSERT INTO ${source} VALUES
        (1, 30, 0.5, TRUE, 1, DATE '1996-01-01', ['a']),
        (2, 40, NULL, FALSE, 0, NULL, []),
        (3, 50, CAST('NaN' AS FLOAT64), TRUE, NULL, NULL, []),
        (4, 17, 0.5, TRUE, 0, NULL, []),
        (5, NULL, 0.5, TRUE, 0, NULL, []),
        (6, 30, CAST('Infinity' AS FLOAT64), TRUE, 0, NULL, []),
        (7, 30, 0.5, NULL, 0, NULL, []),
        (8, 30, 0.5, TRUE, 2, NULL, [])`,
    );
    scoring = {
      manifest,
      batchId: 'batch-1',
      modelVersion: '1',
      modelSha256: 'abc',
      predDatetime: new Date().toISOString(),
      source: `${cloud.project}.${cloud.dataset}.${source}`,
      columns: [
        { name: 'id', type: 'STRING', sourceType: 'INT64', role: 'identifier' },
        { name: 'AGE', type: 'INT64', sourceType: 'INT64', role: 'feature' },
        { name: 'RATIO', type: 'FLOAT64', sourceType: 'FLOAT64', role: 'feature' },
        { name: 'OWNER', type: 'BOOL', sourceType: 'BOOL', role: 'feature' },
        { name: 'outcome', type: 'INT64', sourceType: 'INT64', role: 'target' },
        { name: 'born', type: 'DATE', sourceType: 'DATE', role: 'other' },
        { name: 'tags', type: 'STRING', sourceType: 'ARRAY<STRING>', role: 'other' },
      ],
      results: `${cloud.project}.${cloud.dataset}.risk_model_results`,
      model: `${cloud.project}.${cloud.dataset}.riskmodel_credit_abc`,
      inputName: 'input',
      outputName: 'probabilities',
    };
    await warehouse.prepare(resultsTable(cloud.dataset, scoring.columns));
  });

  afterAll(() => cloud.stop());

  test('a table is described with SQL’s types', async () => {
    const expected = {
      path: scoring.source,
      columns: scoring.columns.map(({ name, sourceType }) => ({ name, type: sourceType })),
    };
    expect(await warehouse.tableScoring.describe(`bq://${cloud.dataset}.${source}`)).toEqual(expected);
  });

  test.each([
    ['bq://riskmodel.gone', { code: 'NotFound', message: 'table local.riskmodel.gone does not exist' }],
    ['bq://gone', { code: 'InvalidUri' }],
    ['gs://bucket/object', { code: 'InvalidUri' }],
    ['bq://riskmodel.a`b', { code: 'InvalidUri' }],
  ])('%s is refused', async (uri, expected) => {
    await expect(warehouse.tableScoring.describe(uri)).rejects.toMatchObject({ retry: 'never', ...expected });
  });

  test('rows are counted by the checks that records pass through', async () => {
    expect(await warehouse.tableScoring.countRows(scoring)).toEqual({ total: 8, accepted: 3 });
  });

  test('the rows that fit are written with all of their columns; but for ML.PREDICT, by the statement itself', async () => {
    const sql = scoreRowsSql(scoring);
    const predicted = sql.replace(
      /ML\.PREDICT\(MODEL `[^`]+`, \((.*)\)\) AS p$/s,
      '(SELECT q.*, [IF(q.`input`[OFFSET(0)] > 35, 0.9, 0.5), IF(q.`input`[OFFSET(0)] > 35, 0.1, 0.5)] AS probabilities FROM ($1) AS q) AS p',
    );
    expect(predicted).not.toBe(sql);
    await cloud.query(predicted);
    const rows = await cloud.query(
      'SELECT id, AGE, RATIO, OWNER, outcome, CAST(born AS STRING) AS born, tags, prob_0, prob_1, decision, record_index, batch_id, model, model_version, model_sha256 FROM risk_model_results ORDER BY id',
    );
    const common = {
      record_index: null,
      batch_id: 'batch-1',
      model: 'credit',
      model_version: '1',
      model_sha256: 'abc',
    };
    expect(rows).toEqual([
      {
        id: '1',
        AGE: 30,
        RATIO: 0.5,
        OWNER: true,
        outcome: 1,
        born: '1996-01-01',
        tags: '["a"]',
        prob_0: 0.5,
        prob_1: 0.5,
        decision: 1,
        ...common,
      },
      {
        id: '2',
        AGE: 40,
        RATIO: null,
        OWNER: false,
        outcome: 0,
        born: null,
        tags: '[]',
        prob_0: 0.9,
        prob_1: 0.1,
        decision: 0,
        ...common,
      },
      {
        id: '3',
        AGE: 50,
        RATIO: null,
        OWNER: true,
        outcome: null,
        born: null,
        tags: '[]',
        prob_0: 0.9,
        prob_1: 0.1,
        decision: 0,
        ...common,
      },
    ]);
    const outcomes = await warehouse.tableScoring.countOutcomes(scoring);
    expect(outcomes.toSorted((a, b) => a.outcome - b.outcome)).toEqual([
      { outcome: 0, decision: 0, n: 1 },
      { outcome: 1, decision: 1, n: 1 },
    ]);
  });

  test('the model is imported, then the rows are scored, by jobs with labels and a limit of their cost', async () => {
    const scored = warehouse.tableScoring.score(scoring, 'gs://staging/model.onnx');
    await expect(scored).rejects.toMatchObject({
      code: 'BigQueryError',
      message: expect.stringMatching(/^scoring .* \(job riskmodel-score-batch-1-.*: notImplemented: ML\.PREDICT/),
    });
    const [jobs] = await cloud.bigQuery.getJobs({ maxResults: 1_000 });
    for (const [kind, statement] of [
      ['import', 'CREATE MODEL IF NOT EXISTS'],
      ['score', 'INSERT INTO'],
    ]) {
      const job = jobs.find(({ id }) => id?.startsWith(`riskmodel-${kind}-batch-1-`));
      const metadata: unknown = await job?.getMetadata();
      expect((metadata as [{ configuration: object }])[0].configuration).toMatchObject({
        labels: { model: 'credit', batch: 'batch-1' },
        query: {
          query: expect.stringContaining(statement as string),
          useLegacySql: false,
          maximumBytesBilled: '1000000000',
        },
      });
    }
  });

  describe('as a batch', () => {
    let system: LocalSystem;

    async function startSystem(batch: object): Promise<void> {
      system = await LocalSystem.start({
        manifest: exampleManifest({ engine: 'BigQueryML', output: { dataset: cloud.dataset }, ...batch }),
      });
      await system.startWorker(cloud.environment);
    }

    /** A table of applicants that the example's model takes, the given number of them too young. */
    async function makeTable(name: string, tooYoung: number): Promise<string> {
      const { features } = system.manifest.spec as unknown as { features: { name: string }[] };
      const columns = features.map((feature) => {
        const value = feature.name === 'AGE' ? `IF(i < ${tooYoung}, 1, 40)` : '1';
        return `${value} AS ${feature.name}`;
      });
      await cloud.query(`CREATE TABLE ${name} AS SELECT ${columns.join(', ')} FROM UNNEST(GENERATE_ARRAY(0, 99)) AS i`);
      return `bq://${cloud.dataset}.${name}`;
    }

    afterEach(() => system.stop());

    test('the rows are counted and BigQuery is asked; what it says ends the batch, and nothing stays in staging', async () => {
      await startSystem({});
      const input = await makeTable('hundred', 1);
      const { url } = await system.startServer(cloud.environment);
      const answer = await fetch(`${url}/batches`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input }),
      });
      expect(answer.status).toBe(202);
      const batch = await system.waitForEnd(((await answer.json()) as { id: string }).id);
      expect(batch).toMatchObject({
        state: 'failed',
        rows: { total: 100 },
        error: { code: 'BigQueryError', message: expect.stringContaining('ML.PREDICT is not implemented') },
      });
      // Who waits for a batch is told first, then what was staged for it goes.
      await eventually(async () => expect(await cloud.list(`${cloud.folderUri}/staging/`)).toEqual([]));
    });

    test('too many rows that do not fit fail it before anything is scored', async () => {
      await startSystem({});
      expect(await system.run(await makeTable('young', 2))).toMatchObject({
        state: 'failed',
        error: {
          code: 'TooManyRejects',
          message: expect.stringMatching(/^2 of 100 rows of [\w.-]+young don't fit the schema/),
        },
      });
    });

    test.each<[why: string, batch: object, input: string, error: object]>([
      ['a file', {}, 'gs://bucket/applicants.csv', { code: 'InvalidUri', message: expect.stringContaining('bq://') }],
      ['a table that is not there', {}, 'bq://riskmodel.gone', { code: 'NotFound' }],
      [
        'predictions to be looked up',
        { lookup: { ttl: '1h' } },
        'bq://riskmodel.gone',
        { code: 'UnsupportedEngine', message: expect.stringContaining('spec.batch.lookup') },
      ],
    ])('%s is refused', async (_, batch, input, error) => {
      await startSystem(batch);
      expect(await system.run(input)).toMatchObject({ state: 'failed', error });
    });
  });
});
