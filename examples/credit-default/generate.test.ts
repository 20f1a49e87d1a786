import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { generateApplicants } from './generate.ts';
import { FEATURES } from './population.ts';

interface Feature {
  name: string;
  minimum?: number;
  maximum?: number;
  codes?: number[];
}

const manifestPath = join(import.meta.dirname, 'riskmodel.yaml');
const manifest = parse(readFileSync(manifestPath, 'utf8')) as { spec: { features: Feature[] } };
const { features } = manifest.spec;

let folder: string;
let instance: DuckDBInstance;
let duckdb: DuckDBConnection;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'generate-test-'));
  instance = await DuckDBInstance.create(':memory:');
  duckdb = await instance.connect();
});

afterAll(() => {
  duckdb.closeSync();
  instance.closeSync();
  rmSync(folder, { recursive: true });
});

async function query(sql: string) {
  return (await duckdb.runAndReadAll(sql)).getRowsJson();
}

/** A line of column names, then a line for each row: text, so that formats with different number types compare equal. */
async function readBack(path: string): Promise<string[]> {
  const reader = await duckdb.runAndReadAll(`SELECT CAST(COLUMNS(*) AS VARCHAR) FROM '${path}'`);
  return [reader.columnNames(), ...(reader.getRowsJson() as string[][])].map((values) => values.join());
}

describe('formats', () => {
  // More than one of DuckDB's chunks of 2,048 rows.
  const rows = 2100;
  let expected: string[];

  beforeAll(async () => {
    const out = join(folder, 'expected.parquet');
    await generateApplicants({ rows, seed: 7, out });
    expected = await readBack(out);
  });

  test('columns are the identifier, the features in the order of the manifest, and the target', () => {
    expect(expected[0]).toBe(['customer_id', ...features.map((feature) => feature.name), 'target'].join());
    expect(features.map((feature) => feature.name)).toEqual([...FEATURES]);
    expect(expected).toHaveLength(1 + rows);
  });

  test.each(['.json', '.json.gz', '.ndjson', '.ndjson.gz', '.csv', '.csv.gz', '.parquet'])(
    'the same seed gives the same rows in %s',
    async (ending) => {
      const out = join(folder, `same${ending}`);
      await generateApplicants({ rows, seed: 7, out });
      expect(await readBack(out)).toEqual(expected);
      const isGzip = readFileSync(out)
        .subarray(0, 2)
        .equals(Buffer.from([0x1f, 0x8b]));
      expect(isGzip).toBe(ending.endsWith('.gz'));
    },
  );

  test('fewer rows are the beginning of more rows', async () => {
    const out = join(folder, 'fewer.csv');
    await generateApplicants({ rows: 10, seed: 7, out });
    expect(await readBack(out)).toEqual(expected.slice(0, 11));
  });

  test('another seed gives other rows', async () => {
    const out = join(folder, 'other.csv');
    await generateApplicants({ rows, seed: 8, out });
    expect(await readBack(out)).not.toEqual(expected);
  });

  test('without the target every other column stays', async () => {
    const out = join(folder, 'undecided.ndjson');
    await generateApplicants({ rows: 10, seed: 7, out, withTarget: false });
    expect(await readBack(out)).toEqual(expected.slice(0, 11).map((line) => line.replace(/,[^,]*$/, '')));
  });

  test('no rows are an empty array', async () => {
    const out = join(folder, 'none.json');
    await generateApplicants({ rows: 0, seed: 7, out });
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual([]);
  });
});

describe('applicants', () => {
  const rows = 50_000;
  let applicants: string;

  beforeAll(async () => {
    const out = join(folder, 'applicants.parquet');
    await generateApplicants({ rows, seed: 1, out });
    applicants = `'${out}'`;
  });

  test.each(features)('$name keeps to the manifest', async ({ name, minimum, maximum, codes }) => {
    const broken = [
      `${name} IS NULL`,
      minimum !== undefined && `${name} < ${minimum}`,
      maximum !== undefined && `${name} > ${maximum}`,
      codes && `${name} NOT IN (${codes.join(', ')})`,
    ].filter(Boolean);
    expect(await query(`FROM ${applicants} WHERE ${broken.join(' OR ')} LIMIT 3`)).toEqual([]);
  });

  test.each([
    ['between 15% and 30% default', 'SELECT avg(target) BETWEEN 0.15 AND 0.30'],
    ['those who are late default far more often', 'SELECT avg(target) FILTER (PAY_0 > 0) > 2 * avg(target)'],
    ['delays persist from month to month', 'SELECT corr(PAY_0, PAY_2) > 0.5'],
    ['bills follow one another', 'SELECT corr(BILL_AMT1, BILL_AMT2) > 0.8'],
    ['bills hardly ever exceed the limit', 'SELECT avg((BILL_AMT1 > LIMIT_BAL)::INT) < 0.05'],
    ['a few have a credit', 'SELECT avg((BILL_AMT1 < 0)::INT) BETWEEN 0.001 AND 0.05'],
    ['paid in full means the bill of the month before', 'SELECT bool_and(PAY_AMT1 >= BILL_AMT2) FILTER (PAY_0 = -1)'],
    ['each has an identifier of its own', 'SELECT count(DISTINCT customer_id) = count(*)'],
  ])('%s', async (_name, select) => {
    expect(await query(`${select} FROM ${applicants}`)).toEqual([[true]]);
  });
});

describe('wrong use', () => {
  test.each([
    ['a negative number of rows', { rows: -1, seed: 1, out: 'a.csv' }, 'Rows must be'],
    ['a fraction of a row', { rows: 1.5, seed: 1, out: 'a.csv' }, 'Rows must be'],
    ['a seed that is no number', { rows: 1, seed: Number.NaN, out: 'a.csv' }, 'Seed must be'],
    ['an unknown format', { rows: 1, seed: 1, out: 'a.xlsx' }, 'Output "a.xlsx" must end in'],
    ['Parquet has its own compression', { rows: 1, seed: 1, out: 'a.parquet.gz' }, 'must end in'],
  ])('%s is refused', async (_name, options, message) => {
    await expect(generateApplicants(options)).rejects.toThrow(message);
  });

  test.each([
    { name: 'asking for help', args: ['--help'], status: 0, says: 'Usage:' },
    { name: 'a missing option', args: ['--rows', '5'], status: 2, says: '--rows and --out are required' },
    {
      name: 'a number that is none',
      args: ['--rows', 'many', '--out', 'a.csv'],
      status: 2,
      says: '--rows must be a whole number >= 0, got "many"',
    },
    { name: 'an unknown format', args: ['--rows', '5', '--out', 'a.xlsx'], status: 2, says: 'must end in' },
    { name: 'an unknown option', args: ['--colour', 'red'], status: 2, says: '--colour' },
    {
      name: 'a folder that cannot be made',
      args: ['--rows', '5', '--out', join(manifestPath, 'a.csv')],
      status: 1,
      says: manifestPath,
    },
  ])('command line: $name exits $status', ({ args, status, says }) => {
    const run = spawnSync(process.execPath, [join(import.meta.dirname, 'generate.ts'), ...args], { encoding: 'utf8' });
    expect(run.stdout + run.stderr).toContain(says);
    expect(run.status).toBe(status);
  });
});
