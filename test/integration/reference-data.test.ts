import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { withArtifact } from '../harness/manifests.ts';
import { referenceData } from '../harness/reference-data.ts';
import { expectOriginalProbabilities, expectOriginalReport } from '../harness/reference-expectations.ts';

jest.setTimeout(120_000);

(referenceData.isThere ? describe : describe.skip)('the 4,800 reference rows', () => {
  let system: LocalSystem;
  let url: string;
  let batch: Batch;
  const rows = referenceData.isThere ? referenceData.rows() : [];

  async function post(path: string, body: unknown): Promise<unknown> {
    const answer = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBeLessThan(300);
    return answer.json();
  }

  beforeAll(async () => {
    system = await LocalSystem.start({ manifest: withArtifact(referenceData.model) });
    const [server] = await Promise.all([system.startServer(), system.startWorker()]);
    url = server.url;
    const input = await system.put('gs://applicants/datos_prueba.json', { file: referenceData.input });
    for (const warm of [false, true]) {
      const started = performance.now();
      await post('/risk-batch-prediction', { BUCKET_NAME: 'applicants', FILEPATH: 'datos_prueba.json' });
      printFigure(
        `4,800 rows, POST to "Done", worker ${warm ? 'warm' : 'just started'}: ${Math.round(performance.now() - started)} ms`,
      );
    }
    batch = (await system.batches.list({ limit: 1 }))[0] as Batch;
    expect(batch).toMatchObject({ state: 'done', input, rows: { total: 4800, done: 4800, failed: 0 } });
  });

  afterAll(() => system.stop());

  test('every probability is within 2e-7 of the original model', async () => {
    const scored = await system.query(
      `SELECT prob_0, prob_1, decision FROM ${system.table('results')} WHERE batch_id = '${batch.id}' ORDER BY record_index`,
    );
    expect(scored).toHaveLength(4800);
    expectOriginalProbabilities(scored);
  });

  test('the metrics are those of the original service, to 1e-12', async () => {
    const report = await system.query(`FROM ${system.table('metrics')} WHERE batch_id = '${batch.id}'`);
    expect(report.map((row) => row['class'])).toEqual(['0', '1', 'accuracy', 'macro avg', 'weighted avg']);
    expectOriginalReport(report);
  });

  test('HTTP, both inference protocols and the batch give the same bits', async () => {
    const scored = await system.query(
      `SELECT prob_0, prob_1 FROM ${system.table('results')} WHERE batch_id = '${batch.id}' ORDER BY record_index`,
    );
    const inBatch = scored.map(({ prob_0, prob_1 }) => [prob_0, prob_1]);
    const names = Object.keys(rows[0] as object).filter((name) => name !== 'target');

    const online: unknown[] = [];
    for (let at = 0; at < rows.length; at += 100) {
      const answers = rows.slice(at, at + 100).map((row) => post('/risk-online-prediction', row));
      online.push(...(await Promise.all(answers)));
    }
    const { predictions } = (await post('/v1/models/credit-default:predict', { instances: rows })) as {
      predictions: unknown;
    };
    const { outputs } = (await post('/v2/models/credit-default/infer', {
      inputs: [
        {
          name: 'input',
          datatype: 'FP32',
          shape: [rows.length, names.length],
          data: rows.flatMap((row) => names.map((name) => row[name])),
        },
      ],
      outputs: [{ name: 'probabilities' }],
    })) as { outputs: { data: number[] }[] };
    const inferred = rows.map((_, row) => outputs[0]?.data.slice(2 * row, 2 * row + 2));

    expect(online).toEqual(inBatch);
    expect(predictions).toEqual(inBatch);
    expect(inferred).toEqual(inBatch);
    printFigure(`${rows.length} rows: 4 ways, the same bits`);
  });
});
