import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Engine } from '@riskmodel/core/columnar/engine.ts';
import { validateRiskModel } from '@riskmodel/core/riskmodel/manifest.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import type { Column } from '@riskmodel/core/warehouse/warehouse.ts';
import type { BatchPlan } from '../plan.ts';
import { stage } from '../scoring/score-chunk.ts';
import { ResultFiles, type StagedRows } from './result-files.ts';

const columns: Column[] = [
  { name: 'id', type: 'STRING' },
  { name: 'prob', type: 'FLOAT64' },
  { name: 'at', type: 'TIMESTAMP' },
  { name: 'n', type: 'INT64' },
];

let root: string;
let engine: Engine;
let store: FolderStore;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'riskmodel-files-'));
  store = new FolderStore(join(root, 'buckets'));
  engine = await Engine.open({ threads: 1, memoryLimit: 200e6, tempDir: root });
});

afterAll(async () => {
  engine.close();
  await rm(root, { recursive: true, force: true });
});

function planOf(format: string): BatchPlan {
  const { model } = validateRiskModel({
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name: 'credit' },
    spec: {
      artifact: { uri: 'gs://models/a.onnx', format: 'ONNX' },
      features: [{ name: 'A', type: 'Number' }],
      batch: { output: { uri: 'gs://out/x', format } },
    },
  });
  const predDatetime = '2026-11-24T07:12:44.042Z';
  return { manifest: model, modelVersion: '1', modelSha256: 'ab', predDatetime } as unknown as BatchPlan;
}

/** Stages one row, of which it is said that it is many. */
async function stageRow(name: string, values: string, rows = 1): Promise<StagedRows> {
  const sql = `SELECT id::VARCHAR AS id, prob::DOUBLE AS prob, "at", n::BIGINT AS n FROM (VALUES (${values})) AS v("id", "prob", "at", "n")`;
  const uri = await engine.use((connection) =>
    stage(`gs://staging/${name}.parquet`, sql, connection, { store, tempDir: root }),
  );
  return { uri, rows };
}

const moment = "TIMESTAMPTZ '2026-11-24T07:12:44.042Z'";

async function readAll(folder: string): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for await (const { uri } of store.list(folder))
    texts[uri.slice(folder.length)] = await readFile(store.pathOf(uri), 'utf8');
  return texts;
}

async function writeBatch(format: string, batchId: string): Promise<ResultFiles> {
  const staged = [
    await stageRow('0', `'a,"b"', 0.1::FLOAT::DOUBLE, ${moment}, 9007199254740993`),
    await stageRow('1', `NULL, 'NaN'::DOUBLE, ${moment}, 7`),
  ];
  const files = new ResultFiles('gs://out/x//', batchId, planOf(format), { store, engine, tempDir: root });
  await files.write('results', columns, staged);
  await files.complete({ done: 2, failed: 1 });
  return files;
}

describe('a folder of result files', () => {
  test('of CSV has every row, in order, with moments in UTC whatever the time zone of the machine', async () => {
    const { folder } = await writeBatch('CSV', 'csv');
    expect(folder).toBe('gs://out/x/credit/csv/');
    const { _SUCCESS: mark, ...files } = await readAll(folder);
    expect(files).toEqual({
      'results-00000-of-00001.csv':
        'id,prob,at,n\n"a,""b""",0.10000000149011612,2026-11-24T07:12:44.042000Z,9007199254740993\n,nan,2026-11-24T07:12:44.042000Z,7\n',
    });
    expect(JSON.parse(mark as string)).toEqual({
      batchId: 'csv',
      model: 'credit',
      modelVersion: '1',
      modelSha256: 'ab',
      predDatetime: '2026-11-24T07:12:44.042Z',
      format: 'CSV',
      rows: { done: 2, failed: 1 },
      files: [{ name: 'results-00000-of-00001.csv', rows: 2 }],
    });
  });

  test('of NDJSON is valid JSON line by line, also where a number is none', async () => {
    const { folder } = await writeBatch('NDJSON', 'ndjson');
    const text = (await readAll(folder))['results-00000-of-00001.ndjson'] as string;
    expect(
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { id: 'a,"b"', prob: 0.10000000149011612, at: '2026-11-24T07:12:44.042000Z', n: Number('9007199254740993') },
      { id: null, prob: null, at: '2026-11-24T07:12:44.042000Z', n: 7 },
    ]);
    expect(text).toContain('9007199254740993');
  });

  test('of Parquet has the rows as they were staged', async () => {
    const files = await writeBatch('Parquet', 'parquet');
    expect(files.locate('results')).toBe('gs://out/x/credit/parquet/results-*.parquet');
    const path = store.pathOf(`${files.folder}results-00000-of-00001.parquet`);
    const rows = await engine.use((connection) =>
      connection.runAndReadAll(
        `SELECT id, prob::VARCHAR, epoch_ms("at")::DOUBLE, n::VARCHAR FROM read_parquet('${path}')`,
      ),
    );
    const at = Date.parse('2026-11-24T07:12:44.042Z');
    expect(rows.getRows()).toEqual([
      ['a,"b"', '0.10000000149011612', at, '9007199254740993'],
      [null, 'nan', at, '7'],
    ]);
  });

  test('begins another file after a million rows', async () => {
    const staged = await Promise.all(
      [400_000, 700_000, 999_999, 1, 1].map((rows, i) => stageRow(`many-${i}`, `'r${i}', 0, ${moment}, ${i}`, rows)),
    );
    const files = new ResultFiles('gs://out', 'many', planOf('CSV'), { store, engine, tempDir: root });
    await files.write('results', columns, staged);
    await files.complete({ done: 0, failed: 0 });
    const texts = await readAll(files.folder);
    const ids = (name: string): string[] =>
      (texts[name] ?? '')
        .split('\n')
        .slice(1, -1)
        .map((line) => line.slice(0, 2));
    expect(ids('results-00000-of-00003.csv')).toEqual(['r0', 'r1']);
    expect(ids('results-00001-of-00003.csv')).toEqual(['r2', 'r3']);
    expect(ids('results-00002-of-00003.csv')).toEqual(['r4']);
    expect((JSON.parse(texts['_SUCCESS'] as string) as { files: unknown }).files).toEqual([
      { name: 'results-00000-of-00003.csv', rows: 1_100_000 },
      { name: 'results-00001-of-00003.csv', rows: 1_000_000 },
      { name: 'results-00002-of-00003.csv', rows: 1 },
    ]);
  });

  test('that is written again stays byte for byte as it is', async () => {
    await writeBatch('CSV', 'twice');
    const before = await readAll('gs://out/x/credit/twice/');
    const stats = await store.stat('gs://out/x/credit/twice/results-00000-of-00001.csv');
    await writeBatch('CSV', 'twice');
    expect(await readAll('gs://out/x/credit/twice/')).toEqual(before);
    expect(await store.stat('gs://out/x/credit/twice/results-00000-of-00001.csv')).toEqual(stats);
  });
});
