import type { DuckDBConnection } from '@duckdb/node-api';
import type { Engine } from '@riskmodel/core/columnar/engine.ts';
import { RiskModelError, messageOf } from '@riskmodel/core/errors.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { fileOf, type ChunkRange } from '../input/plan-input.ts';
import type { BatchPlan } from '../plan.ts';
import { hasNumbersAlone, workingColumns } from './columns-sql.ts';
import { findSplitErrors } from './csv-rejects.ts';
import { explainUnreadable } from './invalid-record.ts';
import { openChunk, type ChunkSource } from './source.ts';

/** What chunks are read and staged with. */
export interface ScoringTools {
  store: ObjectStore;
  engine: Engine;
  tempDir: string;
}

/** How a chunk was read. */
export interface ChunkRows {
  rows: number;
  /** Reasons why records of the chunk, counted from its first, are no rows. */
  splitErrors: Map<number, string>;
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

/** Reads the chunk into the working table `rows`. */
async function readRows(
  connection: DuckDBConnection,
  source: ChunkSource,
  plan: BatchPlan,
  chunk: ChunkRange,
  store: ObjectStore,
): Promise<ChunkRows> {
  const { object } = fileOf(plan.input, chunk);
  if (await readNumbers(connection, source, plan, chunk)) {
    await store.assertUnchanged(object);
    return { rows: chunk.records, splitErrors: new Map() };
  }
  const { sql, path } = source;
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
  const rows = await countRows('rows', connection);
  if (rows + splitErrors.size !== chunk.records) {
    throw new RiskModelError(
      'InputUnreadable',
      `records ${chunk.firstRecord} to ${chunk.firstRecord + chunk.records - 1} of ${object.uri} were read as ${rows} rows: the file's lines can't be told apart`,
    );
  }
  return { rows, splitErrors };
}

/** Reads a chunk of text whose features are numbers: whether it is one. Otherwise nothing is left of the attempt. */
async function readNumbers(
  connection: DuckDBConnection,
  { numbersSql }: ChunkSource,
  { columns, input }: BatchPlan,
  { records }: ChunkRange,
): Promise<boolean> {
  if (numbersSql === undefined) return false;
  try {
    await connection.run(
      `CREATE TEMP TABLE rows AS SELECT ${workingColumns(columns, hasNumbersAlone)} FROM ${numbersSql}`,
    );
    const hasRejects = input.format === 'csv' && (await countRows('reject_errors', connection)) > 0;
    if (!hasRejects && (await countRows('rows', connection)) === records) return true;
  } catch {
    // What is wrong is told by the way that takes everything.
  }
  const tables = ['rows', 'reject_errors', 'reject_scans'];
  await connection.run(tables.map((table) => `DROP TABLE IF EXISTS ${table}`).join('; '));
  return false;
}

async function countRows(table: string, connection: DuckDBConnection): Promise<number> {
  const counted = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${table}`);
  return Number(counted.getRows()[0]?.[0]);
}

/** DuckDB's words for content that it can't read, rather than a disk or memory that fails. */
function isInputError(error: unknown): boolean {
  return /^(Invalid Input|Conversion|Parameter Not Allowed|Out of Range|Serialization|Not implemented)\b.*Error/i.test(
    messageOf(error),
  );
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
