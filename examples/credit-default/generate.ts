/**
 * Writes synthetic applicants in every format that a batch may have. DuckDB pulls the rows, one small chunk at a time,
 * from the population and writes them as they come, so the memory needed does not grow with the number of rows.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { DuckDBInstance, DuckDBTableFunction, DuckDBVector, INTEGER } from '@duckdb/node-api';
import { drawApplicant, FEATURES, seededRandom, VALUES_PER_APPLICANT } from './population.ts';

const USAGE = `Usage: node examples/credit-default/generate.ts --rows N --out PATH [--seed N] [--no-target]

Writes N synthetic credit card applicants: customer_id, the 23 features of riskmodel.yaml, and target (1 = default).

  --rows N      number of rows
  --out PATH    file to write; its name tells the format: .json (an array), .ndjson, .csv, .parquet,
                and .json.gz, .ndjson.gz, .csv.gz
  --seed N      the same seed gives the same rows in every format (default 7)
  --no-target   leave out the outcome, as in applications that are still to be decided
  --help        show this text
`;

/** DuckDB's COPY options for each ending of the output's name. */
const COPY_OPTIONS: Readonly<Record<string, string>> = {
  '.json': 'FORMAT json, ARRAY true, COMPRESSION none',
  '.json.gz': 'FORMAT json, ARRAY true, COMPRESSION gzip',
  '.ndjson': 'FORMAT json, COMPRESSION none',
  '.ndjson.gz': 'FORMAT json, COMPRESSION gzip',
  '.csv': 'FORMAT csv, HEADER, COMPRESSION none',
  '.csv.gz': 'FORMAT csv, HEADER, COMPRESSION gzip',
  '.parquet': 'FORMAT parquet, ROW_GROUP_SIZE 100_000',
};

export interface GenerateOptions {
  /** Number of rows. Fewer rows of the same seed are the beginning of more rows. */
  rows: number;
  seed: number;
  /** Path of the file; its ending tells the format. An existing file is replaced, a missing folder is made. */
  out: string;
  /** Whether the `target` column is written; default true. */
  withTarget?: boolean;
  /** Called with the number of rows made so far, after every two thousand or so. */
  onProgress?: (rows: number) => void;
}

/** Writes `rows` applicants to `out`. Throws a RangeError when the options make no sense. */
export async function generateApplicants(options: GenerateOptions): Promise<void> {
  const { rows, seed, out, withTarget = true, onProgress } = options;
  if (!Number.isSafeInteger(rows) || rows < 0) throw new RangeError(`Rows must be a whole number >= 0, got ${rows}`);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`Seed must be a whole number >= 0, got ${seed}`);
  const ending = /(\.[a-z]+(\.gz)?)$/.exec(out)?.[0] ?? '';
  const copyOptions = COPY_OPTIONS[ending];
  if (copyOptions === undefined) {
    throw new RangeError(`Output "${out}" must end in one of ${Object.keys(COPY_OPTIONS).join(', ')}`);
  }

  await mkdir(dirname(out), { recursive: true });
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    connection.registerTableFunction(populationTable(rows, seed, onProgress));
    const columns = withTarget ? `${FEATURES.join(', ')}, target` : FEATURES.join(', ');
    await connection.run(
      `COPY (SELECT printf('C%07d', number) AS customer_id, ${columns} FROM population())
       TO '${out.replaceAll("'", "''")}' (${copyOptions})`,
    );
    connection.closeSync();
  } finally {
    instance.closeSync();
  }
}

/** The table function `population()`: one row for each applicant, in order, with its number from 1. */
function populationTable(rows: number, seed: number, onProgress?: (rows: number) => void): DuckDBTableFunction {
  const chunkSize = DuckDBVector.standardSize();
  const random = seededRandom(seed);
  const applicant = new Int32Array(VALUES_PER_APPLICANT);
  let made = 0;
  return DuckDBTableFunction.create({
    name: 'population',
    bindFunction: (bind) => {
      for (const name of ['number', ...FEATURES, 'target']) bind.addResultColumn(name, INTEGER);
      bind.setCardinality(rows, true);
    },
    // One thread, because the rows are one sequence of random numbers.
    initFunction: (init) => init.setMaxThreads(1),
    mainFunction: (_info, chunk) => {
      const count = Math.min(chunkSize, rows - made);
      chunk.rowCount = count;
      if (count === 0) return;
      const vectors = Array.from({ length: 1 + VALUES_PER_APPLICANT }, (_, column) => chunk.getColumnVector(column));
      for (let row = 0; row < count; row++) {
        drawApplicant(random, applicant);
        vectors[0]!.setItem(row, made + row + 1);
        for (let i = 0; i < VALUES_PER_APPLICANT; i++) vectors[i + 1]!.setItem(row, applicant[i]!);
      }
      for (const vector of vectors) vector.flush();
      made += count;
      onProgress?.(made);
    },
  });
}

/** A line that counts up, redrawn in place ten times a second; nothing when the output is not a terminal. */
function progressLine(total: number): { update: (rows: number) => void; clear: () => void } {
  if (!process.stderr.isTTY) return { update: () => {}, clear: () => {} };
  let drawnAt = 0;
  return {
    update: (rows) => {
      const now = Date.now();
      if (now - drawnAt < 100) return;
      drawnAt = now;
      const percent = Math.floor((100 * rows) / total);
      process.stderr.write(`\r${rows.toLocaleString('en')} of ${total.toLocaleString('en')} rows (${percent}%)`);
    },
    clear: () => process.stderr.write('\r\u001B[K'),
  };
}

function parseWholeNumber(option: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new RangeError(`${option} must be a whole number >= 0, got "${text}"`);
  return Number(text);
}

/** The command line; returns the exit code. */
async function main(args: string[]): Promise<number> {
  try {
    const { values } = parseArgs({
      args,
      options: {
        rows: { type: 'string' },
        seed: { type: 'string', default: '7' },
        out: { type: 'string' },
        target: { type: 'boolean', default: true },
        help: { type: 'boolean', short: 'h' },
      },
      allowNegative: true,
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    if (values.rows === undefined || values.out === undefined) throw new RangeError('--rows and --out are required');
    const rows = parseWholeNumber('--rows', values.rows);
    const startedAt = performance.now();
    const progress = progressLine(rows);
    await generateApplicants({
      rows,
      seed: parseWholeNumber('--seed', values.seed),
      out: values.out,
      withTarget: values.target,
      onProgress: progress.update,
    }).finally(progress.clear);
    const seconds = (performance.now() - startedAt) / 1000;
    process.stderr.write(`Wrote ${rows.toLocaleString('en')} rows to ${values.out} in ${seconds.toFixed(1)} s\n`);
    return 0;
  } catch (error) {
    const isWrongUsage =
      error instanceof RangeError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
    process.stderr.write(`${(error as Error).message}\n${isWrongUsage ? `\n${USAGE}` : ''}`);
    return isWrongUsage ? 2 : 1;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
