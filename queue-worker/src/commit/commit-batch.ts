import { literal, type Engine } from '@riskmodel/core/columnar/engine.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import {
  addCounts,
  classificationReport,
  noCounts,
  type ClassificationReport,
} from '@riskmodel/core/evaluation/classification-report.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { metricsTable, rejectsTable, resultsTable } from '@riskmodel/core/warehouse/tables.ts';
import type { Warehouse } from '@riskmodel/core/warehouse/warehouse.ts';
import type { BatchPlan } from '../plan.ts';
import { double, timestamp } from '../scoring/columns-sql.ts';
import { stage, type ChunkResult } from '../scoring/score-chunk.ts';

export interface CommitTools {
  store: ObjectStore;
  warehouse: Warehouse;
  engine: Engine;
  tempDir: string;
}

/** What a batch came to, once it is in the warehouse. */
export interface CommittedBatch {
  total: number;
  done: number;
  failed: number;
  results: string;
  metricsTable?: string;
  rejects?: string;
  metrics?: ClassificationReport;
}

/** Checks, before any row is scored, that the tables can take what the plan will write. */
export async function prepareTables(plan: BatchPlan, warehouse: Warehouse): Promise<void> {
  const { dataset } = plan.manifest.spec.batch.output;
  await warehouse.prepare(resultsTable(dataset, plan.columns));
  await warehouse.prepare(metricsTable(dataset));
  await warehouse.prepare(rejectsTable(dataset));
}

/**
 * Writes a batch whose chunks are staged. The results come last: they are what people wait for, and once they are
 * there the rest is too. Every append is named by the batch, so a commit that was cut short is simply made again.
 *
 * @throws RiskModelError `TooManyRejects`, with the rejects written and nothing else; whatever the warehouse throws
 */
export async function commitBatch(
  batchId: string,
  plan: BatchPlan,
  chunks: readonly ChunkResult[],
  tools: CommitTools,
): Promise<CommittedBatch> {
  const { warehouse } = tools;
  const { dataset } = plan.manifest.spec.batch.output;
  const done = chunks.reduce((sum, chunk) => sum + chunk.accepted, 0);
  const failed = chunks.reduce((sum, chunk) => sum + chunk.rejected, 0);

  const rejected = chunks.flatMap(({ rejects }) => rejects ?? []);
  if (rejected.length > 0) await warehouse.append(rejectsTable(dataset), rejected, batchId);
  refuseTooManyRejects(done + failed, failed, plan, warehouse.locate(rejectsTable(dataset)));

  const counts = chunks.reduce((sum, chunk) => addCounts(sum, chunk.counts), noCounts);
  const hasOutcomes = Object.values(counts).some((count) => count > 0);
  const metrics = hasOutcomes ? classificationReport(counts) : undefined;
  if (metrics !== undefined) {
    const staged = await stageMetrics(batchId, plan, metrics, tools);
    await warehouse.append(metricsTable(dataset), [staged], batchId);
  }
  const results = resultsTable(dataset, plan.columns);
  await warehouse.append(
    results,
    chunks.flatMap((chunk) => chunk.results ?? []),
    batchId,
  );
  return {
    total: done + failed,
    done,
    failed,
    results: warehouse.locate(results),
    ...(metrics === undefined ? {} : { metrics, metricsTable: warehouse.locate(metricsTable(dataset)) }),
    ...(rejected.length === 0 ? {} : { rejects: warehouse.locate(rejectsTable(dataset)) }),
  };
}

function refuseTooManyRejects(total: number, failed: number, plan: BatchPlan, table: string): void {
  const { maxRejectedRatio } = plan.manifest.spec.batch;
  if (failed <= total * maxRejectedRatio && failed < total) return;
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

function stageMetrics(
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
