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
 * the chunk, with the reason. DuckDB tells a line's byte position: that of its first byte counted from 1, or from 0
 * after a Windows line break, and so in both cases a byte of that line. The records up to it are counted here.
 */
export async function findSplitErrors(connection: DuckDBConnection, path: string): Promise<Map<number, string>> {
  const found = await connection.runAndReadAll(
    'SELECT DISTINCT ON (line_byte_position) line_byte_position::DOUBLE, error_type::VARCHAR FROM reject_errors ORDER BY 1',
  );
  const errors = found.getRows().map(([position, type]) => ({ position: Number(position), type: String(type) }));
  const byRecord = new Map<number, string>();
  if (errors.length === 0) return byRecord;
  let record = 0;
  let next = 0;
  const scanner = new LineScanner(
    (_, end) => {
      for (let error = errors[next]; error !== undefined && error.position < end; error = errors[++next]) {
        byRecord.set(record, reasons[error.type] ?? `can't be split into values (${error.type.toLowerCase()})`);
      }
      record++;
    },
    { csv: true },
  );
  for await (const piece of createReadStream(path)) scanner.push(piece as Buffer);
  scanner.end();
  return byRecord;
}
