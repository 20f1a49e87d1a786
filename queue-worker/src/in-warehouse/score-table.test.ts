import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Engine, literal } from '@riskmodel/core/columnar/engine.ts';
import { loadModel, type Model } from '@riskmodel/core/model/model.ts';
import { openSession } from '@riskmodel/core/model/session.ts';
import { readManifests } from '@riskmodel/core/riskmodel/manifest-files.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import type { WarehouseScoring } from '@riskmodel/core/warehouse/bigquery-ml.ts';
import { ParquetWarehouse } from '@riskmodel/core/warehouse/parquet.ts';
import type { TableScoring } from '@riskmodel/core/warehouse/table-scoring.ts';
import type { BatchPlan, TablePlan } from '../plan.ts';
import { commitTable, planTable } from './score-table.ts';

const example = join(import.meta.dirname, '../../../examples/credit-default');

let folder: string;
let store: FolderStore;
let engine: Engine;
let manifest: RiskModel;
let model: Model;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'score-table-'));
  store = new FolderStore(join(folder, 'buckets'));
  engine = await Engine.open({ threads: 1, memoryLimit: 200e6, tempDir: folder });
  const [read] = (await readManifests([join(example, 'riskmodel.yaml')])) as [RiskModel];
  const artifact = { ...read.spec.artifact, uri: pathToFileURL(join(example, 'model.onnx')).href };
  manifest = { ...read, spec: { ...read.spec, artifact } };
  model = await loadModel(manifest, store, openSession);
});

afterEach(async () => {
  engine.close();
  await rm(folder, { recursive: true });
});

/** A warehouse that scores as it is told to: which rows there are, and what it finds when they are scored. */
class StubbedScoring extends ParquetWarehouse {
  readonly scored: [asked: WarehouseScoring, artifactUri: string][] = [];
  tableScoring: TableScoring = {
    describe: async (uri) => ({
      path: uri.replace('bq://', ''),
      columns: [
        ...manifest.spec.features.map(({ name }) => ({ name, type: 'INT64' })),
        { name: manifest.spec.target ?? '', type: 'INT64' },
        { name: 'branch', type: 'STRUCT' },
      ],
    }),
    countRows: async () => ({ total: 1_000, accepted: 998 }),
    score: async (asked, artifactUri) => {
      this.scored.push([asked, artifactUri]);
      return true;
    },
    countOutcomes: async () => [
      { outcome: 0, decision: 0, n: 700 },
      { outcome: 0, decision: 1, n: 100 },
      { outcome: 1, decision: 1, n: 198 },
    ],
  };
}

async function plan(warehouse: ParquetWarehouse, batch: Partial<RiskModel['spec']['batch']> = {}): Promise<BatchPlan> {
  const spec = { ...manifest.spec, batch: { ...manifest.spec.batch, engine: 'BigQueryML' as const, ...batch } };
  const described = {
    batchId: 'batch-1',
    uri: 'bq://bank.risk.applicants',
    manifest: { ...manifest, spec },
    model,
    predDatetime: '2026-11-24T10:00:00.000Z',
    stagingUri: 'gs://staging/batch-1',
  };
  return planTable(described, { warehouse, store, tempDir: folder });
}

test('a table is scored by the warehouse, and its metrics are written', async () => {
  const warehouse = new StubbedScoring(join(folder, 'warehouse'), { store });
  const planned = await plan(warehouse);
  expect(planned).toMatchObject({ input: { records: 1_000, chunks: [] }, table: { accepted: 998 } });
  expect(planned.columns.at(-1)).toMatchObject({ name: 'branch', type: 'STRING', role: 'other' });

  const predictions = { write: async () => {} };
  const logger = makeLogger('test', 'error');
  const tools = { store, warehouse, engine, predictions, openFeatures: () => undefined, logger, tempDir: folder };
  const committed = await commitTable('batch-1', planned, planned.table as TablePlan, tools);
  expect(committed).toMatchObject({ total: 1_000, done: 998, failed: 2 });
  expect(committed.metrics?.map(({ support }) => support)).toEqual([800, 198, 998, 998, 998]);

  const [[asked, artifactUri]] = warehouse.scored as [[WarehouseScoring, string]];
  expect(asked).toMatchObject({ batchId: 'batch-1', source: 'bank.risk.applicants', modelSha256: model.sha256 });
  expect(asked.columns.at(-1)).toEqual({ name: 'branch', type: 'STRING', sourceType: 'STRUCT', role: 'other' });
  expect(await store.stat(artifactUri)).toBeDefined();
  const rows = await engine.use((connection) =>
    connection.runAndReadAll(`FROM ${literal(join(committed.metricsTable as string, '*.parquet'))}`),
  );
  expect(rows.getRowObjectsJson()).toHaveLength(5);
});

test.each<[why: string, stub: (warehouse: StubbedScoring) => void, batch: object, error: object]>([
  [
    'too many rows do not fit',
    ({ tableScoring }) => (tableScoring.countRows = async () => ({ total: 100, accepted: 98 })),
    {},
    { code: 'TooManyRejects', message: expect.stringContaining('2 of 100 rows of bank.risk.applicants') },
  ],
  [
    'there are no rows',
    ({ tableScoring }) => (tableScoring.countRows = async () => ({ total: 0, accepted: 0 })),
    {},
    { code: 'EmptyInput' },
  ],
  [
    'a feature is text',
    ({ tableScoring }) => {
      const { describe } = tableScoring;
      tableScoring.describe = async (uri) => {
        const found = await describe(uri);
        return { ...found, columns: found.columns.map((column) => ({ ...column, type: 'STRING' })) };
      };
    },
    {},
    { code: 'UnsupportedColumnType', message: expect.stringContaining('has the type STRING; it must hold numbers') },
  ],
  [
    'files are wanted',
    () => {},
    { output: { dataset: 'risk', tables: true, uri: 'gs://results/risk/', format: 'parquet' } },
    { code: 'UnsupportedEngine', message: expect.stringContaining('spec.batch.output.uri') },
  ],
])('nothing is scored when %s', async (_, stub, batch, error) => {
  const warehouse = new StubbedScoring(join(folder, 'warehouse'), { store });
  stub(warehouse);
  await expect(plan(warehouse, batch)).rejects.toMatchObject({ retry: 'never', ...error });
  expect(warehouse.scored).toEqual([]);
});

test('a warehouse that scores no tables says so', async () => {
  const warehouse = new ParquetWarehouse(join(folder, 'warehouse'), { store });
  await expect(plan(warehouse)).rejects.toMatchObject({
    code: 'UnsupportedEngine',
    message: expect.stringContaining('RISKMODEL_BACKEND'),
  });
});
