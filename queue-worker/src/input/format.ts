export type InputFormat = 'json' | 'ndjson' | 'csv' | 'parquet';

export interface DetectedFormat {
  format: InputFormat;
  gzip: boolean;
}

/** How many first bytes `detectFormat` wants to see. */
export const headLength = 4096;

const extensions: Record<string, InputFormat> = {
  json: 'json',
  ndjson: 'ndjson',
  jsonl: 'ndjson',
  csv: 'csv',
  tsv: 'csv',
  parquet: 'parquet',
  pq: 'parquet',
};

/** Whether bytes begin as gzip does (RFC 1952). */
export function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/**
 * The format of an input by its first bytes, and by its name where they don't tell.
 *
 * @param name the object's name, such as `applicants.csv.gz`
 * @param head the first bytes, decompressed
 */
export function detectFormat(name: string, head: Uint8Array): InputFormat {
  if (Buffer.from(head.subarray(0, 4)).toString('latin1') === 'PAR1') return 'parquet';
  const extension = name.toLowerCase().replace(/\.gz$/, '').split('.').at(-1) ?? '';
  const named = extensions[extension];
  if (named === 'csv' || named === 'parquet') return named;
  const first = Buffer.from(head)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .trimStart()[0];
  // JSON by either name may be an array or one object a line; the first character decides.
  if (first === '[') return 'json';
  if (first === '{') return 'ndjson';
  return named ?? 'csv';
}
