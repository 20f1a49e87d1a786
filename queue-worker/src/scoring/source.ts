import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { identifier, literal } from '@riskmodel/core/columnar/engine.ts';
import type { LocalCopy, ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import type { ChunkRange } from '../input/plan-input.ts';
import { longestRecord } from '../input/record-scanner.ts';
import type { BatchPlan, InputColumn } from '../plan.ts';

/** A chunk's records as a table expression of SQL, over a file that `release` gives back. */
export interface ChunkSource extends LocalCopy {
  sql: string;
}

/** Brings a chunk's records to this machine: the whole Parquet file where the store is local, else only its bytes. */
export async function openChunk(
  { input, columns }: BatchPlan,
  chunk: ChunkRange,
  { store, tempDir }: { store: ObjectStore; tempDir: string },
): Promise<ChunkSource> {
  if (input.format === 'parquet') {
    const local = await store.openLocal(input.object);
    const last = chunk.firstRecord + chunk.records;
    return {
      ...local,
      sql:
        `(SELECT * EXCLUDE (file_row_number) FROM read_parquet(${literal(local.path)}, file_row_number = true) ` +
        `WHERE file_row_number >= ${chunk.firstRecord} AND file_row_number < ${last})`,
    };
  }
  const path = join(tempDir, `chunk-${chunk.index}.${input.format}`);
  await pipeline(
    textOf(input.format === 'json', await store.read(input.object, { start: chunk.start, end: chunk.end })),
    createWriteStream(path),
  );
  const sql =
    input.format === 'csv'
      ? readCsv(path, columns, input.csv?.delimiter ?? ',')
      : readJson(path, columns, input.format);
  return { path, sql, release: () => rm(path, { force: true }) };
}

/** The chunk's bytes; elements of a JSON array get the brackets of an array of their own. */
async function* textOf(isArray: boolean, bytes: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  if (isArray) yield Buffer.from('[');
  yield* bytes;
  if (isArray) yield Buffer.from(']');
}

/**
 * Every value as text: what is no number is found value by value, not by a reader that gives up. Short rows are padded
 * with missing values; rows that can't be split go to the table `reject_errors`.
 */
function readCsv(path: string, columns: readonly InputColumn[], delimiter: string): string {
  const options = [
    'header = false',
    'auto_detect = false',
    `delim = ${literal(delimiter)}`,
    `quote = '"'`,
    `escape = '"'`,
    'null_padding = true',
    'parallel = false',
    'store_rejects = true',
    `max_line_size = ${longestRecord}`,
    `columns = ${textColumns(columns)}`,
  ];
  return `read_csv(${literal(path)}, ${options.join(', ')})`;
}

function readJson(path: string, columns: readonly InputColumn[], format: 'json' | 'ndjson'): string {
  const options = [
    `format = '${format === 'json' ? 'array' : 'newline_delimited'}'`,
    `maximum_object_size = ${longestRecord + 1024}`,
    `columns = ${textColumns(columns)}`,
  ];
  return `read_json(${literal(path)}, ${options.join(', ')})`;
}

function textColumns(columns: readonly InputColumn[]): string {
  return `{${columns.map(({ name }) => `${identifier(name)}: 'VARCHAR'`).join(', ')}}`;
}
