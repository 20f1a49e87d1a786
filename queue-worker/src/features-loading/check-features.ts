import type { DuckDBConnection } from '@duckdb/node-api';
import { identifier } from '@riskmodel/core/columnar/engine.ts';
import { doubleColumn, isValid } from '@riskmodel/core/columnar/vectors.ts';
import { noCounts } from '@riskmodel/core/evaluation/classification-report.ts';
import { FeatureEncoder } from '@riskmodel/core/model/features.ts';
import type { ChunkRange } from '../input/plan-input.ts';
import type { BatchPlan } from '../plan.ts';
import { indexRecords, stageChunk, type ChunkResult } from '../scoring/score-chunk.ts';
import { withRows, type ChunkRows, type ScoringTools } from '../scoring/working-table.ts';

/**
 * Checks one chunk of features that are to be loaded, by the rules that scoring has, and stages those that are fit:
 * identifier and features, which are written to the store when the batch is committed. Doing it again stages nothing new.
 *
 * @throws RiskModelError as `scoreChunk`
 */
export function checkFeatures(
  batchId: string,
  plan: BatchPlan,
  chunk: ChunkRange,
  tools: ScoringTools,
): Promise<ChunkResult> {
  return withRows(plan, chunk, tools, async (connection, rows) => {
    const found = await checkRows(connection, plan, chunk, rows);
    const kept = { ...found, sql: keptSql(plan) };
    return { counts: noCounts, ...(await stageChunk(batchId, plan, chunk, kept, connection, tools)) };
  });
}

/** The identifier's column and those of the features, in the manifest's order. */
export function loadedColumns({ manifest, columns }: BatchPlan): { id: string; names: string[] } {
  const present = new Set(columns.filter(({ role }) => role === 'feature').map(({ name }) => name));
  const names = manifest.spec.features.map(({ name }) => name).filter((name) => present.has(name));
  return { id: manifest.spec.identifier ?? '', names };
}

async function checkRows(
  connection: DuckDBConnection,
  plan: BatchPlan,
  chunk: ChunkRange,
  { rows, splitErrors }: ChunkRows,
): Promise<{ rejects: Map<number, string[]>; accepted: number }> {
  const { id, names } = loadedColumns(plan);
  const present = new Set(names);
  const encoder = new FeatureEncoder(plan.manifest.spec.features.filter(({ name }) => present.has(name)));
  const indexes = indexRecords(chunk.firstRecord, rows, splitErrors);
  const rejects = new Map([...splitErrors].map(([record, reason]) => [chunk.firstRecord + record, [reason]]));

  await connection.run('CREATE TEMP TABLE checks (accepted BOOLEAN)');
  const appender = await connection.createAppender('checks');
  const stream = await connection.stream(
    `SELECT ${names.map((name) => `CAST(${identifier(name)} AS DOUBLE)`).join(', ')}, CASE WHEN ${identifier(id)} <> '' THEN 1::DOUBLE END FROM rows`,
  );
  let accepted = 0;
  for (let done = 0; done < rows;) {
    const data = await stream.fetchChunk();
    if (data === null || data.rowCount === 0) throw new Error('the working table ended early');
    const { rowCount } = data;
    const reasons = new Map<number, string[]>();
    const reject = (row: number, reason: string): void => void reasons.set(row, [...(reasons.get(row) ?? []), reason]);
    const hasId = doubleColumn(data, names.length).valid;
    for (let row = 0; row < rowCount; row++) if (!isValid(hasId, row)) reject(row, `${id}: is missing`);
    encoder.encodeColumns(
      names.map((_, column) => doubleColumn(data, column)),
      rowCount,
      new Float32Array(rowCount * encoder.width),
      0,
      (row, { feature, message }) => reject(row, `${feature}: ${message}`),
    );
    for (let row = 0; row < rowCount; row++) {
      appender.appendBoolean(!reasons.has(row));
      appender.endRow();
    }
    for (const [row, texts] of reasons) rejects.set(indexes[done + row] as number, texts);
    accepted += rowCount - reasons.size;
    done += rowCount;
  }
  appender.closeSync();
  return { rejects, accepted };
}

function keptSql(plan: BatchPlan): string {
  const { id, names } = loadedColumns(plan);
  const columns = [
    `r.${identifier(id)}`,
    ...names.map((name) => `CAST(r.${identifier(name)} AS DOUBLE) AS ${identifier(name)}`),
  ].join(', ');
  return `SELECT ${columns} FROM rows AS r POSITIONAL JOIN checks AS c WHERE c.accepted`;
}
