import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { literal, type Engine } from '@riskmodel/core/columnar/engine.ts';
import { appendScores, doubleColumn, isValid, scoreColumns, vectorSize } from '@riskmodel/core/columnar/vectors.ts';
import { RiskModelError, messageOf } from '@riskmodel/core/errors.ts';
import { addCounts, noCounts, type ConfusionCounts } from '@riskmodel/core/evaluation/classification-report.ts';
import { decide, type Model } from '@riskmodel/core/model/model.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { fileOf, type ChunkRange } from '../input/plan-input.ts';
import type { BatchPlan } from '../plan.ts';
import { modelColumns, timestamp, workingColumns, writtenColumns } from './columns-sql.ts';
import { findSplitErrors } from './csv-rejects.ts';
import { explainUnreadable } from './invalid-record.ts';
import { openChunk, type ChunkSource } from './source.ts';

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

export interface ScoringTools {
  store: ObjectStore;
  engine: Engine;
  tempDir: string;
}

/** Numbers in the matrix of one model run: rows times features. */
const numbersInARun = 1 << 20;

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
    return { counts, ...(await stageChunk(batchId, plan, chunk, { rejects, accepted }, connection, tools)) };
  });
}

/** Reads a chunk into the working table `rows` of a connection that lasts as long as `work`. */
export async function withRows<T>(
  plan: BatchPlan,
  chunk: ChunkRange,
  tools: ScoringTools,
  work: (connection: DuckDBConnection, rows: ChunkRows) => Promise<T>,
): Promise<T> {
  const source = await openChunk(plan, chunk, tools);
  try {
    return await tools.engine.use(async (connection) =>
      work(connection, await readRows(connection, source, plan, chunk, tools.store)),
    );
  } catch (cause) {
    throw isOutOfMemory(cause) ? recordsTooLarge(chunk, cause) : cause;
  } finally {
    await source.release();
  }
}

/** Stages the rows that were kept, as a query has them, and the reasons of the others. */
export async function stageChunk(
  batchId: string,
  plan: BatchPlan,
  chunk: ChunkRange,
  { rejects, accepted }: { rejects: ReadonlyMap<number, string[]>; accepted: number },
  connection: DuckDBConnection,
  tools: ScoringTools,
  sql = resultsSql(plan, batchId),
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

function isOutOfMemory(error: unknown): boolean {
  return messageOf(error).startsWith('Out of Memory Error');
}

function recordsTooLarge({ firstRecord, records }: ChunkRange, cause: unknown): RiskModelError {
  return new RiskModelError(
    'RecordsTooLarge',
    `records ${firstRecord} to ${firstRecord + records - 1} take more memory than a worker has: lower spec.batch.chunkRows, or give the worker more (RISKMODEL_WORKER_MEMORY_MB)`,
    { cause },
  );
}

/** Reads the chunk into the working table `rows`. */
async function readRows(
  connection: DuckDBConnection,
  { sql, path }: ChunkSource,
  plan: BatchPlan,
  chunk: ChunkRange,
  store: ObjectStore,
): Promise<ChunkRows> {
  const { object } = fileOf(plan.input, chunk);
  try {
    await connection.run(`CREATE TEMP TABLE rows AS SELECT ${workingColumns(plan.columns)} FROM ${sql}`);
  } catch (cause) {
    if (!isInputError(cause)) throw cause;
    // A file that is being overwritten fails in any way; that it changed is what to say then.
    await store.assertUnchanged(object);
    throw await explainUnreadable(plan.input, chunk, store);
  }
  await store.assertUnchanged(object);
  const splitErrors = plan.input.format === 'csv' ? await findSplitErrors(connection, path) : new Map<number, string>();
  const counted = await connection.runAndReadAll('SELECT count(*)::DOUBLE FROM rows');
  const rows = Number(counted.getRows()[0]?.[0]);
  if (rows + splitErrors.size !== chunk.records) {
    throw new RiskModelError(
      'InputUnreadable',
      `records ${chunk.firstRecord} to ${chunk.firstRecord + chunk.records - 1} of ${object.uri} were read as ${rows} rows: the file's lines can't be told apart`,
    );
  }
  return { rows, splitErrors };
}

/** DuckDB's words for content that it can't read, rather than a disk or memory that fails. */
function isInputError(error: unknown): boolean {
  return /^(Invalid Input|Conversion|Parameter Not Allowed|Out of Range|Serialization|Not implemented)\b.*Error/i.test(
    messageOf(error),
  );
}

/** How a chunk was read. */
export interface ChunkRows {
  rows: number;
  /** Reasons why records of the chunk, counted from its first, are no rows. */
  splitErrors: Map<number, string>;
}

async function scoreRows(
  connection: DuckDBConnection,
  plan: BatchPlan,
  chunk: ChunkRange,
  model: Model,
  { rows, splitErrors }: ChunkRows,
): Promise<{ rejects: Map<number, string[]>; counts: ConfusionCounts; accepted: number }> {
  const { encoder, session } = model;
  const { threshold } = plan.manifest.spec.decision;
  const { width } = encoder;
  const rejects = new Map<number, string[]>(
    [...splitErrors].map(([record, reason]) => [chunk.firstRecord + record, [reason]]),
  );
  const recordIndexes = indexRecords(chunk.firstRecord, rows, splitErrors);
  const columns = Array.from({ length: width }, (_, column) => column);
  const rowsInARun = Math.max(vectorSize, Math.floor(numbersInARun / width / vectorSize) * vectorSize);

  await connection.run(`CREATE TEMP TABLE scores (${scoreColumns})`);
  const appender = await connection.createAppender('scores');
  const stream = await connection.stream(`SELECT ${modelColumns(plan.manifest, plan.columns)} FROM rows`);
  let counts = noCounts;
  let accepted = 0;
  let done = 0;
  while (done < rows) {
    const size = Math.min(rowsInARun, rows - done);
    const matrix = new Float32Array(size * width);
    const outcomes = new Float64Array(size).fill(Number.NaN);
    const kept = new Uint8Array(size).fill(1);
    const indexes = recordIndexes.subarray(done, done + size);
    const reject = (row: number, reason: string): void => {
      kept[row] = 0;
      const record = indexes[row] as number;
      const reasons = rejects.get(record);
      if (reasons === undefined) rejects.set(record, [reason]);
      else reasons.push(reason);
    };
    for (let filled = 0; filled < size;) {
      const data = await stream.fetchChunk();
      // Asked once: each time is a call into DuckDB.
      const count = data?.rowCount ?? 0;
      if (data === null || count === 0) throw new Error('the working table ended early');
      const from = filled;
      encoder.encodeColumns(
        columns.map((column) => doubleColumn(data, column)),
        count,
        matrix,
        from,
        (row, problem) => reject(from + row, `${problem.feature}: ${problem.message}`),
      );
      const target = doubleColumn(data, width);
      for (let row = 0; row < count; row++) {
        if (!isValid(target.valid, row)) continue;
        const outcome = target.values[row] as number;
        if (outcome === 0 || outcome === 1) outcomes[from + row] = outcome;
        else reject(from + row, `${plan.manifest.spec.target}: must be 0 or 1`);
      }
      filled += count;
    }
    const probabilities = await session.run(matrix, size);
    appendScores(appender, { probabilities, accepted: kept, recordIndexes: indexes });
    counts = addCounts(counts, countOutcomes(probabilities, outcomes, kept, threshold));
    accepted += kept.reduce((sum, keep) => sum + keep, 0);
    done += size;
  }
  appender.closeSync();
  return { rejects, counts, accepted };
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

/** @param outcomes 0 or 1; NaN where it is not known */
function countOutcomes(
  probabilities: Float32Array,
  outcomes: Float64Array,
  kept: Uint8Array,
  threshold: number,
): ConfusionCounts {
  const cells = [0, 0, 0, 0] as [number, number, number, number];
  for (let row = 0; row < outcomes.length; row++) {
    const outcome = outcomes[row] as number;
    if (kept[row] === 0 || Number.isNaN(outcome)) continue;
    const cell = 2 * outcome + decide(probabilities[2 * row + 1] as number, threshold);
    cells[cell] = (cells[cell] as number) + 1;
  }
  const [trueNegatives, falsePositives, falseNegatives, truePositives] = cells;
  return { trueNegatives, falsePositives, falseNegatives, truePositives };
}

function resultsSql(plan: BatchPlan, batchId: string): string {
  return `SELECT ${writtenColumns(plan, batchId)} FROM rows AS r POSITIONAL JOIN scores AS s WHERE s.accepted`;
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
const parquetOptions = 'FORMAT parquet, DICTIONARY_SIZE_LIMIT 4096, WRITE_BLOOM_FILTER false';

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
