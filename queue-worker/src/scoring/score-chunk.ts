import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { literal } from '@riskmodel/core/columnar/engine.ts';
import { appendScores, doubleColumn, isValid, scoreColumns, vectorSize } from '@riskmodel/core/columnar/vectors.ts';
import type { ConfusionCounts } from '@riskmodel/core/evaluation/classification-report.ts';
import { decide, type Model } from '@riskmodel/core/model/model.ts';
import type { ChunkRange } from '../input/plan-input.ts';
import type { BatchPlan } from '../plan.ts';
import { modelColumns, timestamp, writtenColumns } from './columns-sql.ts';
import { withRows, type ChunkRows, type ScoringTools } from './working-table.ts';

/** What a chunk came to. */
export interface ChunkResult {
  accepted: number;
  rejected: number;
  /** Rows with an outcome by true and decided class. */
  counts: ConfusionCounts;
  /** The staged Parquet objects; undefined when there is nothing in them. */
  results: string | undefined;
  rejects: string | undefined;
}

/** Numbers in the matrix of one model run: rows times features. */
const numbersInARun = 1 << 17;

/** Stands among the outcomes for one that is not known. */
const unknownOutcome = 2;

/**
 * Scores one chunk and stages its rows as Parquet. Doing it again, here or elsewhere, stages nothing new: the names are
 * those of the plan, and what is there stays.
 *
 * @throws RiskModelError `InputChanged`, `InvalidJson`, `InvalidCsv` ..., or whatever I/O throws
 */
export async function scoreChunk(
  batchId: string,
  plan: BatchPlan,
  chunk: ChunkRange,
  model: Model,
  tools: ScoringTools,
): Promise<ChunkResult> {
  return withRows(plan, chunk, tools, async (connection, rows) => {
    const { rejects, counts, accepted } = await scoreRows(connection, plan, chunk, model, rows);
    const sql = resultsSql(plan, batchId, accepted === rows.rows);
    return { counts, ...(await stageChunk(batchId, plan, chunk, { rejects, accepted, sql }, connection, tools)) };
  });
}

/** Stages the rows that were kept, as a query has them, and the reasons of the others. */
export async function stageChunk(
  batchId: string,
  plan: BatchPlan,
  chunk: ChunkRange,
  { rejects, accepted, sql }: { rejects: ReadonlyMap<number, string[]>; accepted: number; sql: string },
  connection: DuckDBConnection,
  tools: ScoringTools,
): Promise<Omit<ChunkResult, 'counts'>> {
  const name = `${plan.stagingUri}/chunk-${String(chunk.index).padStart(6, '0')}`;
  return {
    accepted,
    rejected: rejects.size,
    results: accepted === 0 ? undefined : await stage(`${name}.parquet`, sql, connection, tools),
    rejects:
      rejects.size === 0
        ? undefined
        : await stageRejects(`${name}-rejects.parquet`, batchId, plan, rejects, connection, tools),
  };
}

async function scoreRows(
  connection: DuckDBConnection,
  plan: BatchPlan,
  chunk: ChunkRange,
  model: Model,
  { rows, splitErrors }: ChunkRows,
): Promise<{ rejects: Map<number, string[]>; counts: ConfusionCounts; accepted: number }> {
  const { encoder, session } = model;
  const { width, names } = encoder;
  const rejects = new Map<number, string[]>(
    [...splitErrors].map(([record, reason]) => [chunk.firstRecord + record, [reason]]),
  );
  const recordIndexes = indexRecords(chunk.firstRecord, rows, splitErrors);
  const probabilities = new Float32Array(2 * rows);
  const outcomes = new Uint8Array(rows).fill(unknownOutcome);
  const kept = new Uint8Array(rows).fill(1);
  const reject = (row: number, reason: string): void => {
    kept[row] = 0;
    const record = recordIndexes[row] as number;
    const reasons = rejects.get(record);
    if (reasons === undefined) rejects.set(record, [reason]);
    else reasons.push(reason);
  };

  const stream = await connection.stream(`SELECT ${modelColumns(plan.manifest, plan.columns)} FROM rows`);
  const rowsInARun = Math.max(vectorSize, Math.floor(numbersInARun / width / vectorSize) * vectorSize);
  // One is filled while the other is scored; shared, so that a thread that scores reads them where they are.
  const matrices = [0, 1].map(() => sharedFloats(Math.min(rowsInARun, rows) * width));
  let scored = Promise.resolve();
  for (let done = 0, run = 0; done < rows; run++) {
    const first = done;
    const size = Math.min(rowsInARun, rows - first);
    const matrix = matrices[run % 2] as Float32Array;
    while (done < first + size) {
      const data = await stream.fetchChunk();
      // Asked once: each time is a call into DuckDB.
      const count = data?.rowCount ?? 0;
      if (data === null || count === 0) throw new Error('the working table ended early');
      const from = done;
      const columns = [...names.keys()].map((column) => doubleColumn(data, column));
      encoder.encodeColumns(columns, count, matrix, from - first, (row, problem) =>
        reject(from + row, `${problem.feature}: ${problem.message}`),
      );
      const target = doubleColumn(data, width);
      for (let row = 0; row < count; row++) {
        if (!isValid(target.valid, row)) continue;
        const outcome = target.values[row] as number;
        if (outcome === 0 || outcome === 1) outcomes[from + row] = outcome;
        else reject(from + row, `${plan.manifest.spec.target}: must be 0 or 1`);
      }
      done += count;
    }
    await scored;
    scored = session.run(matrix.subarray(0, size * width), size).then((answer) => probabilities.set(answer, 2 * first));
    // It is waited for above, unless reading fails first.
    scored.catch(() => {});
  }
  await scored;

  await connection.run(`CREATE TEMP TABLE scores (${scoreColumns})`);
  const appender = await connection.createAppender('scores');
  appendScores(appender, { probabilities, accepted: kept, recordIndexes });
  appender.closeSync();
  return {
    rejects,
    counts: countOutcomes(probabilities, outcomes, kept, plan.manifest.spec.decision.threshold),
    accepted: kept.reduce((sum, keep) => sum + keep, 0),
  };
}

function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
}

/** `record_index` of each row that was read: consecutive, but for the records that are no rows. */
export function indexRecords(first: number, rows: number, missing: ReadonlyMap<number, string>): Float64Array {
  const indexes = new Float64Array(rows);
  let record = 0;
  for (let row = 0; row < rows; row++, record++) {
    while (missing.has(record)) record++;
    indexes[row] = first + record;
  }
  return indexes;
}

/** @param outcomes 0, 1 or `unknownOutcome` */
function countOutcomes(
  probabilities: Float32Array,
  outcomes: Uint8Array,
  kept: Uint8Array,
  threshold: number,
): ConfusionCounts {
  const cells = [0, 0, 0, 0] as [number, number, number, number];
  for (let row = 0; row < outcomes.length; row++) {
    const outcome = outcomes[row] as number;
    if (kept[row] === 0 || outcome === unknownOutcome) continue;
    const cell = 2 * outcome + decide(probabilities[2 * row + 1] as number, threshold);
    cells[cell] = (cells[cell] as number) + 1;
  }
  const [trueNegatives, falsePositives, falseNegatives, truePositives] = cells;
  return { trueNegatives, falsePositives, falseNegatives, truePositives };
}

function resultsSql(plan: BatchPlan, batchId: string, areAllAccepted: boolean): string {
  const all = `SELECT ${writtenColumns(plan, batchId)} FROM rows AS r POSITIONAL JOIN scores AS s`;
  return areAllAccepted ? all : `${all} WHERE s.accepted`;
}

async function stageRejects(
  uri: string,
  batchId: string,
  plan: BatchPlan,
  rejects: ReadonlyMap<number, string[]>,
  connection: DuckDBConnection,
  tools: ScoringTools,
): Promise<string> {
  await connection.run('CREATE TEMP TABLE rejects (record_index DOUBLE, reason VARCHAR)');
  const appender = await connection.createAppender('rejects');
  for (const [record, reasons] of rejects) {
    appender.appendDouble(record);
    appender.appendVarchar(reasons.join('; '));
    appender.endRow();
  }
  appender.closeSync();
  const columns = [
    'CAST(record_index AS BIGINT) AS record_index',
    'reason',
    `${timestamp(plan.predDatetime)} AS pred_datetime`,
    `${literal(batchId)} AS batch_id`,
    `${literal(plan.manifest.metadata.name)} AS model`,
    `${literal(plan.modelVersion)} AS model_version`,
    `${literal(plan.modelSha256)} AS model_sha256`,
  ];
  return stage(uri, `SELECT ${columns.join(', ')} FROM rejects ORDER BY record_index`, connection, tools);
}

/**
 * Dictionaries up to so many values: codes and amounts that repeat gain by them, while probabilities, which never do, are
 * tried in vain at a size in the tens of thousands. Nothing reads bloom filters of what is staged.
 */
const parquetOptions = 'FORMAT parquet, DICTIONARY_SIZE_LIMIT 1024, WRITE_BLOOM_FILTER false';

/** Writes the rows of a query as a staged Parquet object, unless there is one of this name already. */
export async function stage(
  uri: string,
  sql: string,
  connection: DuckDBConnection,
  { store, tempDir }: Pick<ScoringTools, 'store' | 'tempDir'>,
): Promise<string> {
  const file = join(tempDir, `${randomUUID()}.parquet`);
  try {
    await connection.run(`COPY (${sql}) TO ${literal(file)} (${parquetOptions})`);
    await store.putFileIfAbsent(uri, file);
    return uri;
  } finally {
    await rm(file, { force: true });
  }
}
