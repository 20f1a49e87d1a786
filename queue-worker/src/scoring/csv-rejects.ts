import { createReadStream } from 'node:fs';
import type { DuckDBConnection } from '@duckdb/node-api';
import { LineScanner } from '../input/record-scanner.ts';

const reasons: Record<string, string> = {
  'TOO MANY COLUMNS': 'has more values than the header has names',
  'UNQUOTED VALUE': 'has a quote that is not closed, or text after a closing quote',
  'INVALID ENCODING': 'is not valid UTF-8',
};

/**
 * The records of a CSV chunk that DuckDB could not split into values (its table `reject_errors`), by their place in
 * the chunk, with the reason. DuckDB tells their byte offset (counted from 1); the records before it are counted here.
 */
export async function findSplitErrors(connection: DuckDBConnection, path: string): Promise<Map<number, string>> {
  const found = await connection.runAndReadAll(
    'SELECT DISTINCT ON (line_byte_position) line_byte_position::DOUBLE, error_type::VARCHAR FROM reject_errors ORDER BY 1',
  );
  const errors = new Map(found.getRows().map(([position, type]) => [Number(position) - 1, String(type)]));
  const byRecord = new Map<number, string>();
  if (errors.size === 0) return byRecord;
  let record = 0;
  const scanner = new LineScanner(
    (start) => {
      const type = errors.get(start);
      if (type !== undefined)
        byRecord.set(record, reasons[type] ?? `can't be split into values (${type.toLowerCase()})`);
      record++;
    },
    { csv: true },
  );
  for await (const piece of createReadStream(path)) scanner.push(piece as Buffer);
  scanner.end();
  return byRecord;
}
