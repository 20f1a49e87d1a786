import { BOOLEAN, DOUBLE, DuckDBDataChunk, type DuckDBAppender } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import type { FeatureColumn } from '../model/features.ts';

/** Rows that one DuckDB vector holds at most. */
export const vectorSize = duckdb.vector_size();

/**
 * A DOUBLE column of a chunk as a typed array over DuckDB's own memory, without a copy: it is valid as long as the
 * chunk is.
 */
export function doubleColumn(chunk: DuckDBDataChunk, column: number): FeatureColumn {
  const rows = chunk.rowCount;
  const vector = duckdb.data_chunk_get_vector(chunk.chunk, column);
  const data = duckdb.vector_get_data(vector, rows * Float64Array.BYTES_PER_ELEMENT);
  // DuckDB keeps the mask as 64-bit words; read a byte at a time it is least significant bit first on every platform
  // that Node runs on.
  const mask = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8);
  return { values: new Float64Array(data.buffer, data.byteOffset, rows), valid: mask ?? undefined };
}

/** Whether the value of a row is there. */
export function isValid(valid: Uint8Array | undefined, row: number): boolean {
  return valid === undefined || ((valid[row >> 3] as number) & (1 << (row & 7))) !== 0;
}

/** What a batch adds to its input's rows, one entry a row. */
export interface Scores {
  /** `[rows, 2]`, row-major. */
  probabilities: Float32Array;
  /** 1 for rows to keep. */
  accepted: Uint8Array;
  recordIndexes: Float64Array;
}

/** The columns that `appendScores` fills, as SQL declares them. */
export const scoreColumns = 'prob_0 DOUBLE, prob_1 DOUBLE, record_index DOUBLE, accepted BOOLEAN';

/** Appends scores to a table of `scoreColumns`. */
export function appendScores(appender: DuckDBAppender, { probabilities, accepted, recordIndexes }: Scores): void {
  const rows = accepted.length;
  const chunk = DuckDBDataChunk.create([DOUBLE, DOUBLE, DOUBLE, BOOLEAN]);
  const zero = new Float64Array(vectorSize);
  const one = new Float64Array(vectorSize);
  for (let from = 0; from < rows; from += vectorSize) {
    const count = Math.min(vectorSize, rows - from);
    for (let i = 0; i < count; i++) {
      zero[i] = probabilities[2 * (from + i)] as number;
      one[i] = probabilities[2 * (from + i) + 1] as number;
    }
    chunk.reset();
    chunk.rowCount = count;
    const columns = [zero, one, recordIndexes.subarray(from), accepted.subarray(from)];
    for (const [column, data] of columns.entries()) {
      const vector = duckdb.data_chunk_get_vector(chunk.chunk, column);
      const bytes = count * data.BYTES_PER_ELEMENT;
      duckdb.copy_data_to_vector(vector, 0, data.buffer as ArrayBuffer, data.byteOffset, bytes);
    }
    appender.appendDataChunk(chunk);
  }
}
