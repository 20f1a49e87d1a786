import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSession, type Session } from '@riskmodel/core/model/session.ts';
import type { Feature } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeModel, startTestApp, type TestApp } from './testing/test-app.ts';

// Real applicants and the original model, which are not part of the repository.
const folder = join(import.meta.dirname, '../../../shared/data');
const isThere = existsSync(join(folder, 'datos_prueba.json'));
if (!isThere) process.stderr.write('skipped: the reference data are not beside the repository\n');

const pairsOf = (probabilities: Float32Array): number[][] =>
  Array.from({ length: probabilities.length / 2 }, (_, row) => [...probabilities.subarray(row * 2, row * 2 + 2)]);

(isThere ? describe : describe.skip)('all 4,800 reference rows', () => {
  let rows: Record<string, number>[];
  let names: string[];
  let session: Session;
  let app: TestApp;
  let matrix: Float32Array;
  /** What the session itself answers to each row alone. */
  const direct: number[][] = [];

  beforeAll(async () => {
    rows = JSON.parse(readFileSync(join(folder, 'datos_prueba.json'), 'utf8')) as Record<string, number>[];
    names = Object.keys(rows[0] as object).filter((name) => name !== 'target');
    session = await openSession(readFileSync(join(folder, 'risk-model.onnx')), names.length);
    const features = names.map((name): Feature => ({ name, type: 'Integer', whenMissing: 'Reject' }));
    app = await startTestApp({ models: [makeModel('credit', session, { features })] });
    matrix = Float32Array.from(rows.flatMap((row) => names.map((name) => row[name] as number)));
    for (let row = 0; row < rows.length; row++) {
      const values = matrix.slice(row * names.length, (row + 1) * names.length);
      direct.push([...(await session.run(values, 1))]);
    }
  });
  afterAll(async () => {
    await app.close();
    await session.release();
  });

  test('are as the original model answered them', () => {
    const lines = readFileSync(join(folder, 'expected_predictions.csv'), 'utf8').trim().split('\n').slice(1);
    const expected = lines.map((line) => line.split(',').slice(1).map(Number));
    expect(expected).toHaveLength(4_800);
    const furthest = Math.max(
      ...expected.flatMap((pair, row) => pair.map((value, i) => Math.abs(value - (direct[row]?.[i] as number)))),
    );
    expect(furthest).toBeLessThanOrEqual(2e-7);
  });

  test('have the same bits one by one, whatever they are scored together with', async () => {
    const answers: unknown[] = [];
    for (let from = 0; from < rows.length; from += 100) {
      const some = rows.slice(from, from + 100);
      answers.push(
        ...(await Promise.all(some.map(async (row) => (await app.post('/risk-online-prediction', row)).json()))),
      );
    }
    expect(answers).toEqual(direct);
  }, 30_000);

  test('have the same bits as instances', async () => {
    const response = await app.post('/v1/models/credit:predict', { instances: rows });
    expect(await response.json()).toEqual({ predictions: direct });
  });

  test('have the same bits as a JSON tensor', async () => {
    const input = { name: 'input', shape: [rows.length, names.length], datatype: 'INT32', data: [...matrix] };
    const response = await app.post('/v2/models/credit/infer', {
      inputs: [input],
      outputs: [{ name: 'probabilities' }],
    });
    const { outputs } = (await response.json()) as { outputs: { data: number[] }[] };
    expect(pairsOf(Float32Array.from(outputs[0]?.data ?? []))).toEqual(direct);
  });

  test('have the same bits as a binary tensor, in and out', async () => {
    const head = Buffer.from(
      JSON.stringify({
        inputs: [
          {
            name: 'input',
            shape: [rows.length, names.length],
            datatype: 'FP32',
            parameters: { binary_data_size: matrix.byteLength },
          },
        ],
        outputs: [{ name: 'probabilities', parameters: { binary_data: true } }],
      }),
    );
    const response = await app.post('/v2/models/credit/infer', Buffer.concat([head, Buffer.from(matrix.buffer)]), {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(head.length),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const split = Number(response.headers.get('inference-header-content-length'));
    expect(pairsOf(new Float32Array(bytes.slice(split).buffer))).toEqual(direct);
  });

  test('have the same bits as one tensor for each feature', async () => {
    const inputs = names.map((name) => ({
      name,
      shape: [rows.length, 1],
      datatype: 'FP64',
      data: rows.map((row) => row[name]),
    }));
    const response = await app.post('/v2/models/credit/infer', { inputs });
    const { outputs } = (await response.json()) as { outputs: { data: number[] }[] };
    expect(pairsOf(Float32Array.from(outputs[0]?.data ?? []))).toEqual(direct);
    expect(outputs[1]?.data).toEqual(direct.map(([, one]) => ((one as number) > 0.25 ? 1 : 0)));
  });
});
