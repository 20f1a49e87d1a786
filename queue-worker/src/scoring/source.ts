import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { identifier, literal } from '@riskmodel/core/columnar/engine.ts';
import type { LocalCopy, ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { fetchPart } from '../input/parquet-part.ts';
import { fileOf, type ChunkRange } from '../input/plan-input.ts';
import { longestRecord } from '../input/record-scanner.ts';
import type { BatchPlan, InputColumn } from '../plan.ts';

/** A chunk's records as a table expression of SQL, over a file that `release` gives back. */
export interface ChunkSource extends LocalCopy {
  sql: string;
}

/** Brings a chunk's records to this machine: of Parquet their row groups, unless the file is here, else only their bytes. */
export async function openChunk(
  { input, columns }: BatchPlan,
  chunk: ChunkRange,
  { store, tempDir }: { store: ObjectStore; tempDir: string },
): Promise<ChunkSource> {
  const { object, csv } = fileOf(input, chunk);
  if (input.format === 'parquet') {
    const range = { start: chunk.firstInFile, end: chunk.firstInFile + chunk.records };
    const part = store.isLocal
      ? { ...(await store.openLocal(object)), firstRecord: 0 }
      : await fetchPart(object, range, { store, tempDir });
    const first = range.start - part.firstRecord;
    return {
      ...part,
      sql:
        `(SELECT * EXCLUDE (file_row_number) FROM read_parquet(${literal(part.path)}, file_row_number = true) ` +
        `WHERE file_row_number >= ${first} AND file_row_number < ${first + chunk.records})`,
    };
  }
  const path = join(tempDir, `chunk-${chunk.index}.${input.format}`);
  await pipeline(
    textOf(input.format === 'json', await store.read(object, { start: chunk.start, end: chunk.end })),
    createWriteStream(path),
  );
  const sql =
    input.format === 'csv' ? readCsv(path, columns, csv?.delimiter ?? ',') : readJson(path, columns, input.format);
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
