import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import { resultColumns } from '@riskmodel/core/warehouse/tables.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { GoogleCloud, isRealProject, whyNoGoogleCloud } from '../harness/google-cloud.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { withArtifact } from '../harness/manifests.ts';
import { expectedReport, referenceData } from '../harness/reference-data.ts';
import { expectOriginalProbabilities, expectOriginalReport } from '../harness/reference-expectations.ts';

jest.setTimeout(isRealProject ? 600_000 : 120_000);

const reason = await whyNoGoogleCloud();

(reason === undefined && referenceData.isThere ? describe : describe.skip)(
  'the 4,800 reference rows from a bucket to BigQuery',
  () => {
    let cloud: GoogleCloud;
    let system: LocalSystem;
    let url: string;
    let input: { BUCKET_NAME: string; FILEPATH: string };
    let batch: Batch;

    function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
      return fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    }

    async function ended(location: string): Promise<Batch> {
      let found: Batch | undefined;
      await eventually(async () => {
        found = (await (await fetch(`${url}${location}`)).json()) as Batch;
        expect(isFinal(found.state)).toBe(true);
      }, 100_000);
      return found as Batch;
    }

    function rowsOf(table: string, columns: string, of = batch.id): Promise<Record<string, unknown>[]> {
      return cloud.query(`SELECT ${columns} FROM ${table} WHERE batch_id = '${of}'`);
    }

    beforeAll(async () => {
      cloud = await GoogleCloud.start();
      const manifest = withArtifact(referenceData.model, { chunkRows: 1_000, output: { dataset: cloud.dataset } });
      manifest.spec.artifact.uri = await cloud.upload('model.onnx', referenceData.model);
      system = await LocalSystem.start({ manifest });
      const [server] = await Promise.all([
        system.startServer(cloud.environment),
        system.startWorker(cloud.environment),
        system.startWorker(cloud.environment),
      ]);
      url = server.url;
      input = nameOf(await cloud.upload('datos_prueba.json', referenceData.input));
      const started = performance.now();
      const answer = await post('/risk-batch-prediction', input);
      printFigure(`4,800 rows, POST to "Done", two workers: ${Math.round(performance.now() - started)} ms`);
      expect([answer.status, await answer.json()]).toEqual([200, 'Done']);
      batch = (await system.batches.list({ limit: 1 }))[0] as Batch;
    });

    afterAll(async () => {
      await system.stop();
      await cloud.stop();
    });

    test('every probability is within 2e-7 of the original model', async () => {
      const scored = await rowsOf('risk_model_results', 'prob_0, prob_1, decision, record_index');
      scored.sort((a, b) => Number(a['record_index']) - Number(b['record_index']));
      const expected = referenceData.expected();
      expect(scored.map((row) => Number(row['record_index']))).toEqual(expected.map((_, index) => index));
      expectOriginalProbabilities(scored);
    });

    test('the metrics are those of the original service, to 1e-12', async () => {
      const report = await rowsOf(
        'risk_model_metrics',
        'class, precision, recall, F1SCORE, support, model, model_version, threshold',
      );
      expect(new Set(report.map((row) => row['class']))).toEqual(new Set(Object.keys(expectedReport)));
      expect(report).toHaveLength(5);
      expectOriginalReport(report);
    });

    test('the tables have the columns, types and layout of the contract', async () => {
      const [names, types] = await layoutOf('risk_model_results');
      const inputs = [...Object.keys(referenceData.rows()[0] as object), 'customer_id'];
      expect(names).toEqual([...inputs, ...resultColumns.map(({ name }) => name)]);
      expect(types.slice(inputs.length).join(' ')).toBe(
        'FLOAT FLOAT TIMESTAMP INTEGER INTEGER STRING STRING STRING STRING',
      );
      const [first] = await rowsOf('risk_model_results', 'CAST(pred_datetime AS STRING) AS at');
      expect(new Date(String(first?.['at']).replace(' ', 'T').replace(/\+00$/, 'Z'))).toEqual(
        new Date(batch.startedAt as string),
      );
    });

    /** Names and types of a table's columns; fails when it is not laid out as all are. */
    async function layoutOf(table: string): Promise<[names: string[], types: string[]]> {
      const [metadata] = (await cloud.bigQuery.dataset(cloud.dataset).table(table).getMetadata()) as [
        { schema: { fields: { name: string; type: string }[] } },
        unknown,
      ];
      expect(metadata).toMatchObject({
        timePartitioning: { type: 'DAY', field: 'pred_datetime' },
        clustering: { fields: ['model', 'batch_id'] },
      });
      const { fields } = metadata.schema;
      return [fields.map(({ name }) => name), fields.map(({ type }) => type)];
    }

    test('the batch says where its rows are, and nothing is left in staging', async () => {
      expect(await (await fetch(`${url}/batches/${batch.id}`)).json()).toMatchObject({
        state: 'done',
        rows: { total: 4800, done: 4800, failed: 0 },
        output: {
          results: `${cloud.project}.${cloud.dataset}.risk_model_results`,
          metrics: `${cloud.project}.${cloud.dataset}.risk_model_metrics`,
        },
      });
      await eventually(async () => expect(await cloud.list(`${cloud.folderUri}/staging/`)).toEqual([]));
    });

    test('an object that is not there is not found', async () => {
      const answer = await post('/risk-batch-prediction', { ...input, FILEPATH: `${input.FILEPATH}.gone` });
      expect([answer.status, await answer.json()]).toEqual([404, { detail: 'File not found' }]);
    });

    test('asked not to wait, the answer says where to ask', async () => {
      const answer = await post('/risk-batch-prediction', input, { prefer: 'respond-async' });
      expect(answer.status).toBe(202);
      const location = answer.headers.get('location') as string;
      expect(location).toMatch(/^\/batches\//);
      expect(await ended(location)).toMatchObject({ state: 'done', rows: { done: 4800 } });
    });

    test('one idempotency key is one batch, whose rows are there once', async () => {
      const body = { input: `gs://${input.BUCKET_NAME}/${input.FILEPATH}`, idempotencyKey: `once-${cloud.folderUri}` };
      const answers = await Promise.all(Array.from({ length: 4 }, () => post('/batches', body)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
      const locations = new Set(answers.map(({ headers }) => headers.get('location') as string));
      expect(locations.size).toBe(1);
      const done = await ended([...locations][0] as string);
      expect(done).toMatchObject({ state: 'done', rows: { done: 4800 } });
      expect(await rowsOf('risk_model_results', 'count(*) AS n', done.id)).toEqual([{ n: 4800 }]);
    });

    test('records that break the schema go to the rejects, and the rest is scored', async () => {
      const rows = referenceData.rows().slice(0, 200);
      const broken = rows.map((row, i) => (i === 7 ? { ...row, AGE: -1 } : row));
      const uri = await cloud.put('rejects.json', JSON.stringify(broken));
      const answer = await post('/batches', { input: uri });
      const done = await ended(answer.headers.get('location') as string);
      expect(done).toMatchObject({ state: 'done', rows: { total: 200, done: 199, failed: 1 } });
      const rejects = await rowsOf('risk_model_rejects', 'record_index, reason', done.id);
      expect(rejects).toEqual([{ record_index: 7, reason: expect.stringContaining('AGE') }]);
    });

    test('a dataset that is not there fails the batch before anything is scored, and says what to do', async () => {
      // The worker that has the manifest with another dataset is of another installation.
      const elsewhere = await LocalSystem.start({
        manifest: { ...system.manifest, spec: { ...system.manifest.spec, batch: { output: { dataset: 'nowhere' } } } },
      });
      try {
        await elsewhere.startWorker(cloud.environment);
        const failed = await elsewhere.run(`gs://${input.BUCKET_NAME}/${input.FILEPATH}`);
        expect(failed).toMatchObject({
          state: 'failed',
          error: { code: 'DatasetNotFound', message: expect.stringContaining('bq mk --dataset') },
          rows: { done: 0 },
        });
      } finally {
        await elsewhere.stop();
      }
    });
  },
);

/** An object's name as the original service is told it. */
function nameOf(uri: string): { BUCKET_NAME: string; FILEPATH: string } {
  const [bucket = '', ...path] = uri.replace('gs://', '').split('/');
  return { BUCKET_NAME: bucket, FILEPATH: path.join('/') };
}
