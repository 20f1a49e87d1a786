import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import {
  classificationReport,
  noCounts,
  type ConfusionCounts,
} from '@riskmodel/core/evaluation/classification-report.ts';
import { fetchArtifact } from '@riskmodel/core/model/artifact.ts';
import type { Model } from '@riskmodel/core/model/model.ts';
import { removeZipMap } from '@riskmodel/core/model/onnx-graph.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import type { WarehouseScoring } from '@riskmodel/core/warehouse/bigquery-ml.ts';
import { tableScoringOf, type TableScoring } from '@riskmodel/core/warehouse/table-scoring.ts';
import { metricsTable, resultsTable } from '@riskmodel/core/warehouse/tables.ts';
import type { Warehouse } from '@riskmodel/core/warehouse/warehouse.ts';
import { hasTooManyRejects, stageMetrics, type CommitTools, type CommittedBatch } from '../commit/commit-batch.ts';
import { fingerprint, matchColumns, type BatchPlan, type TablePlan } from '../plan.ts';

/** What is there before a table's batch is planned. */
export interface TableBatch {
  batchId: string;
  /** `bq://PROJECT.DATASET.TABLE` */
  uri: string;
  /** The manifest, its artifact pinned by sha256. */
  manifest: RiskModel;
  model: Model;
  predDatetime: string;
  /** The batch's folder. */
  stagingUri: string;
}

/**
 * Plans a batch of a table that the warehouse scores itself (`batch.engine: BigQueryML`): the rows are counted, and the
 * model is staged for the warehouse to import. Such a plan has no chunks.
 *
 * @throws RiskModelError `UnsupportedEngine`, `TooManyRejects`, `EmptyInput`; what `matchColumns` and `describe` throw
 */
export async function planTable(
  batch: TableBatch,
  { warehouse, store, tempDir }: { warehouse: Warehouse; store: ObjectStore; tempDir: string },
): Promise<BatchPlan> {
  const { manifest, model, predDatetime } = batch;
  const scoring = requireTableScoring(manifest, warehouse);
  const { path, columns: found } = await scoring.describe(batch.uri);
  const columns = matchColumns(
    manifest,
    found.map(({ name, type }) => ({ name, type: duckdbTypes[type] ?? type })),
  );
  const sourceTypes = found.map(({ type }) => type);
  refuseTexts(columns.filter((_, i) => sourceTypes[i] === 'STRING'));
  const results = warehouse.locate(resultsTable(manifest.spec.batch.output.dataset, columns));
  const name = `riskmodel_${manifest.metadata.name.replaceAll(/\W/g, '_')}_${model.sha256.slice(0, 16)}`;
  const stagingUri = `${batch.stagingUri}/${fingerprint(manifest.spec, path, columns, predDatetime)}`;
  const table: TablePlan = {
    path,
    sourceTypes,
    accepted: 0,
    model: results.replace(/[^.]+$/, name),
    artifactUri: `${stagingUri}/model.onnx`,
    inputName: model.session.inputName,
    outputName: model.session.outputName,
  };
  const plan: BatchPlan = {
    manifest,
    modelVersion: model.version,
    modelSha256: model.sha256,
    // There are no files and no chunks of them; the rest says how many rows there are.
    input: { format: 'parquet', files: [], columns: found, records: 0, chunks: [] },
    columns,
    predDatetime,
    stagingUri,
    table,
  };
  const { total, accepted } = await scoring.countRows(scoringOf(batch.batchId, plan, table, warehouse));
  refuseTooFew(path, total, accepted, manifest);
  const file = join(tempDir, 'model.onnx');
  await writeFile(file, removeZipMap((await fetchArtifact(manifest.spec.artifact, store)).bytes));
  await store.putFileIfAbsent(table.artifactUri, file);
  return { ...plan, input: { ...plan.input, records: total }, table: { ...table, accepted } };
}

/** Has the warehouse score the table, once, and writes the metrics of what it wrote. */
export async function commitTable(
  batchId: string,
  plan: BatchPlan,
  table: TablePlan,
  tools: CommitTools,
): Promise<CommittedBatch> {
  const { warehouse } = tools;
  const { dataset } = plan.manifest.spec.batch.output;
  const scoring = requireTableScoring(plan.manifest, warehouse);
  const asked = scoringOf(batchId, plan, table, warehouse);
  await scoring.score(asked, table.artifactUri);
  const committed = {
    total: plan.input.records,
    done: table.accepted,
    failed: plan.input.records - table.accepted,
    results: asked.results,
  };
  if (!plan.columns.some(({ role }) => role === 'target')) return committed;
  const counts = countsOf(await scoring.countOutcomes(asked));
  if (!Object.values(counts).some((count) => count > 0)) return committed;
  const metrics = classificationReport(counts);
  const staged = await stageMetrics(batchId, plan, metrics, tools);
  await warehouse.append(metricsTable(dataset), [staged], { id: batchId, model: plan.manifest.metadata.name });
  return { ...committed, metrics, metricsTable: warehouse.locate(metricsTable(dataset)) };
}

/** What the warehouse is asked to score. */
function scoringOf(batchId: string, plan: BatchPlan, table: TablePlan, warehouse: Warehouse): WarehouseScoring {
  const { manifest, modelVersion, modelSha256, predDatetime, columns } = plan;
  return {
    manifest,
    batchId,
    modelVersion,
    modelSha256,
    predDatetime,
    source: table.path,
    columns: columns.map(({ name, type, role }, i) => ({ name, type, role, sourceType: table.sourceTypes[i] ?? type })),
    results: warehouse.locate(resultsTable(manifest.spec.batch.output.dataset, columns)),
    model: table.model,
    inputName: table.inputName,
    outputName: table.outputName,
  };
}

function requireTableScoring({ spec }: RiskModel, warehouse: Warehouse): TableScoring {
  const scoring = tableScoringOf(warehouse);
  const { lookup, output } = spec.batch;
  const problem =
    scoring === undefined
      ? 'the warehouse of this installation is not BigQuery (RISKMODEL_BACKEND)'
      : lookup !== undefined
        ? 'rows that stay in BigQuery are not kept for looking up (spec.batch.lookup)'
        : output.uri !== undefined
          ? 'rows that stay in BigQuery are not written to files (spec.batch.output.uri)'
          : undefined;
  if (scoring !== undefined && problem === undefined) return scoring;
  throw new RiskModelError('UnsupportedEngine', `spec.batch.engine can't be BigQueryML: ${problem}`);
}

/** Types as `matchColumns` knows them; others are passed through as text. */
const duckdbTypes: Record<string, string> = {
  STRING: 'VARCHAR',
  INT64: 'BIGINT',
  FLOAT64: 'DOUBLE',
  NUMERIC: 'DECIMAL(38,9)',
  BIGNUMERIC: 'DECIMAL(38,9)',
  BOOL: 'BOOLEAN',
  DATE: 'DATE',
  DATETIME: 'TIMESTAMP',
  TIMESTAMP: 'TIMESTAMP WITH TIME ZONE',
};

function refuseTexts(texts: ReturnType<typeof matchColumns>): void {
  const column = texts.find(({ role }) => role === 'feature' || role === 'target');
  if (column === undefined) return;
  throw new RiskModelError(
    'UnsupportedColumnType',
    `the table's column "${column.name}" has the type STRING; it must hold numbers`,
  );
}

function refuseTooFew(path: string, total: number, accepted: number, { spec }: RiskModel): void {
  if (total === 0) throw new RiskModelError('EmptyInput', `${path} has no rows`);
  const failed = total - accepted;
  if (!hasTooManyRejects(total, failed, spec.batch)) return;
  const { maxRejectedRatio } = spec.batch;
  throw new RiskModelError(
    'TooManyRejects',
    `${failed} of ${total} rows of ${path} don't fit the schema, more than spec.batch.maxRejectedRatio (${maxRejectedRatio}) allows: nothing was written`,
  );
}

function countsOf(outcomes: Awaited<ReturnType<TableScoring['countOutcomes']>>): ConfusionCounts {
  const of = (outcome: number, decision: number): number =>
    outcomes.find((row) => row.outcome === outcome && row.decision === decision)?.n ?? 0;
  return {
    ...noCounts,
    trueNegatives: of(0, 0),
    falsePositives: of(0, 1),
    falseNegatives: of(1, 0),
    truePositives: of(1, 1),
  };
}
