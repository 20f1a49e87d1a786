import { literal, type Engine } from '@riskmodel/core/columnar/engine.ts';
import { messageOf, RiskModelError } from '@riskmodel/core/errors.ts';
import {
  addCounts,
  classificationReport,
  noCounts,
  type ClassificationReport,
} from '@riskmodel/core/evaluation/classification-report.ts';
import type { PredictionTable } from '@riskmodel/core/lookup/prediction-table.ts';
import type { RiskModelSpec } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import { metricsTable, rejectsTable, resultsTable } from '@riskmodel/core/warehouse/tables.ts';
import type { Warehouse } from '@riskmodel/core/warehouse/warehouse.ts';
import { loadFeatures, type OpenFeatureTable } from '../features-loading/load-features.ts';
import { keepPredictions } from '../lookup/keep-predictions.ts';
import type { BatchPlan } from '../plan.ts';
import { double, timestamp } from '../scoring/columns-sql.ts';
import { openSink } from './result-sink.ts';
import type { StagedRows } from './result-files.ts';
import { stage, type ChunkResult } from '../scoring/score-chunk.ts';

export interface CommitTools {
  store: ObjectStore;
  warehouse: Warehouse;
  predictions: Pick<PredictionTable, 'write'>;
  openFeatures: OpenFeatureTable;
  engine: Engine;
  logger: Logger;
  tempDir: string;
}

/** What a batch came to, once it is in the warehouse. */
export interface CommittedBatch {
  total: number;
  done: number;
  failed: number;
  /** Absent when features were loaded. */
  results?: string;
  /** The folder with the result files, when the manifest asks for them. */
  files?: string;
  metricsTable?: string;
  rejects?: string;
  metrics?: ClassificationReport;
}

/** Checks, before any row is scored, that the tables can take what the plan will write. */
export async function prepareTables(plan: BatchPlan, warehouse: Warehouse): Promise<void> {
  const { dataset, tables } = plan.manifest.spec.batch.output;
  if (!tables) return;
  const { length } = plan.input.chunks;
  await Promise.all([
    warehouse.prepare(resultsTable(dataset, plan.columns), length),
    warehouse.prepare(metricsTable(dataset)),
    warehouse.prepare(rejectsTable(dataset), length),
  ]);
}

/**
 * Writes a batch whose chunks are staged. Of the tables the results come last: they are what people wait for, and once
 * they are there the rest is too. Then predictions are kept for looking up, if so wanted. All that is written is named by
 * the batch, so a commit that was cut short is simply made again.
 *
 * @throws RiskModelError `TooManyRejects`, with the rejects written and nothing else; whatever the warehouse throws
 */
export async function commitBatch(
  batchId: string,
  plan: BatchPlan,
  chunks: readonly ChunkResult[],
  tools: CommitTools,
): Promise<CommittedBatch> {
  const sink = openSink(batchId, plan, tools);
  const done = chunks.reduce((sum, chunk) => sum + chunk.accepted, 0);
  const failed = chunks.reduce((sum, chunk) => sum + chunk.rejected, 0);

  const rejects = stagedRows(chunks.map((chunk) => [chunk.rejects, chunk.rejected]));
  if (rejects.length > 0) await sink.write('rejects', rejects);
  refuseTooManyRejects(done + failed, failed, plan, sink.locate('rejects'));

  const results = stagedRows(chunks.map((chunk) => [chunk.results, chunk.accepted]));
  const rejectsPlace = rejects.length === 0 ? {} : { rejects: sink.locate('rejects') };
  if (plan.action === 'LoadFeatures') {
    const started = performance.now();
    await loadFeatures(plan, urisOf(results), tools);
    const seconds = (performance.now() - started) / 1_000;
    tools.logger.info({ batchId, records: done, seconds }, 'features loaded');
    return { total: done + failed, done, failed, ...rejectsPlace };
  }
  await sink.writeFiles(results);
  const counts = chunks.reduce((sum, chunk) => addCounts(sum, chunk.counts), noCounts);
  const hasOutcomes = Object.values(counts).some((count) => count > 0);
  const metrics = hasOutcomes ? classificationReport(counts) : undefined;
  if (metrics !== undefined) {
    await sink.write('metrics', [{ uri: await stageMetrics(batchId, plan, metrics, tools), rows: metrics.length }]);
  }
  await sink.write('results', results);
  await sink.complete({ done, failed });
  await keepForLookup(batchId, plan, urisOf(results), tools);
  return {
    total: done + failed,
    done,
    failed,
    results: sink.locate('results'),
    ...(sink.folder === undefined ? {} : { files: sink.folder }),
    ...(metrics === undefined ? {} : { metrics, metricsTable: sink.locate('metrics') }),
    ...rejectsPlace,
  };
}

/** What is staged, in the records' order, which the job's children are not given in. */
function stagedRows(chunks: [uri: string | undefined, rows: number][]): StagedRows[] {
  return chunks
    .flatMap(([uri, rows]) => (uri === undefined ? [] : [{ uri, rows }]))
    .toSorted((a, b) => (a.uri < b.uri ? -1 : 1));
}

function urisOf(staged: readonly StagedRows[]): string[] {
  return staged.map(({ uri }) => uri);
}

async function keepForLookup(batchId: string, plan: BatchPlan, staged: string[], tools: CommitTools): Promise<void> {
  const started = performance.now();
  let records: number | undefined;
  try {
    records = await keepPredictions(batchId, plan, staged, tools);
  } catch (cause) {
    throw lookupFailed(cause);
  }
  if (records === undefined) return;
  const seconds = (performance.now() - started) / 1_000;
  tools.logger.info({ batchId, records, seconds }, 'predictions kept for looking up');
}

function lookupFailed(cause: unknown): RiskModelError {
  return new RiskModelError(
    'LookupFailed',
    `the results are written, but the predictions could not all be kept for looking up: ${messageOf(cause)}; submit the file again as a new batch for those`,
    { retry: 'later', cause },
  );
}

/** Whether more records break the schema than the manifest allows, or all of them. */
export function hasTooManyRejects(
  total: number,
  failed: number,
  { maxRejectedRatio }: RiskModelSpec['batch'],
): boolean {
  return failed > total * maxRejectedRatio || failed >= total;
}

function refuseTooManyRejects(total: number, failed: number, plan: BatchPlan, table: string): void {
  const { batch } = plan.manifest.spec;
  if (!hasTooManyRejects(total, failed, batch)) return;
  const { maxRejectedRatio } = batch;
  throw new TooManyRejectsError({ total, failed, maxRejectedRatio, table });
}

/** So many records broke the schema that the rest is not worth having. Their reasons are in the warehouse. */
export class TooManyRejectsError extends RiskModelError {
  /** What the batch's record is to say. */
  readonly update: { done: number; failed: number; rejects: string };

  constructor(counts: { total: number; failed: number; maxRejectedRatio: number; table: string }) {
    const { total, failed, maxRejectedRatio, table } = counts;
    super(
      'TooManyRejects',
      `${failed} of ${total} records don't fit the schema, more than spec.batch.maxRejectedRatio (${maxRejectedRatio}) allows: nothing was written to the results; the reasons are in ${table}`,
    );
    this.update = { done: 0, failed, rejects: table };
  }
}

/** Stages the rows of the metrics table. Returns their URI. */
export function stageMetrics(
  batchId: string,
  plan: BatchPlan,
  metrics: ClassificationReport,
  tools: CommitTools,
): Promise<string> {
  const { manifest, modelVersion, predDatetime, stagingUri } = plan;
  const rows = metrics.map(({ class: name, precision, recall, f1Score, support }) => {
    const numbers = [precision, recall, f1Score].map(double);
    return `(${[literal(name), ...numbers, `${support}::BIGINT`].join(', ')})`;
  });
  const sql =
    `SELECT v.*, ${timestamp(predDatetime)} AS pred_datetime, ${literal(batchId)} AS batch_id, ` +
    `${literal(manifest.metadata.name)} AS model, ${literal(modelVersion)} AS model_version, ` +
    `${double(manifest.spec.decision.threshold)} AS threshold ` +
    `FROM (VALUES ${rows.join(', ')}) AS v("class", "precision", "recall", "F1SCORE", "support")`;
  return tools.engine.use((connection) => stage(`${stagingUri}/metrics.parquet`, sql, connection, tools));
}

/** Removes everything that was staged for a batch. */
export async function removeStaged(stagingUri: string, store: ObjectStore): Promise<void> {
  for await (const { uri } of store.list(`${stagingUri}/`)) await store.delete(uri);
}
