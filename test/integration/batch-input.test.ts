import { readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { writeApplicants } from '../harness/applicants.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';

jest.setTimeout(120_000);

let system: LocalSystem;
/** 10,000 good records as NDJSON lines, with CSV's header and lines for the same. */
let lines: string[];
let csv: string[];

beforeAll(async () => {
  system = await LocalSystem.start({ manifest: exampleManifest({ chunkRows: 1_000 }) });
  await system.startWorker();
  const ndjson = system.pathOf('gs://inputs/good.ndjson');
  await writeApplicants({ rows: 10_000, seed: 3, out: ndjson });
  await writeApplicants({ rows: 10_000, seed: 3, out: system.pathOf('gs://inputs/good.csv') });
  lines = (await readFile(ndjson, 'utf8')).trim().split('\n');
  csv = (await readFile(system.pathOf('gs://inputs/good.csv'), 'utf8')).trim().split('\n');
});

afterAll(() => system.stop());

/** The record at `index` with some of its values replaced; undefined takes the value away. */
function changed(index: number, values: Record<string, unknown>): string {
  return JSON.stringify({ ...(JSON.parse(lines[index] as string) as object), ...values });
}

describe('a good file', () => {
  test.each(['ndjson', 'json', 'csv', 'parquet', 'ndjson.gz', 'json.gz', 'csv.gz'])(
    'as %s: every record once, in all chunks',
    async (extension) => {
      const uri = `gs://inputs/applicants.${extension}`;
      await writeApplicants({ rows: 10_000, seed: 3, out: system.pathOf(uri) });
      const batch = await system.run(uri);
      expect(batch).toMatchObject({ state: 'done', rows: { total: 10_000, done: 10_000, failed: 0 } });
      const [summary] = await system.query(
        `SELECT count(*)::INTEGER AS rows, count(DISTINCT record_index)::INTEGER AS records, count(DISTINCT customer_id)::INTEGER AS customers,
         max(record_index)::INTEGER AS last, sum(prob_1) AS total, bool_and(decision = (prob_1 > 0.25)::INT) AS decided
       FROM ${system.table('results')} WHERE batch_id = '${batch.id}'`,
      );
      expect(summary).toMatchObject({ rows: 10_000, records: 10_000, customers: 10_000, last: 9_999, decided: true });
    },
  );

  test('the same rows from every format get the same bits', async () => {
    const sums = await system.query(
      `SELECT count(*)::INTEGER AS batches, count(DISTINCT prob_1)::INTEGER AS answers FROM ${system.table('results')}
       GROUP BY record_index ORDER BY answers DESC LIMIT 1`,
    );
    expect(sums).toEqual([{ batches: 7, answers: 1 }]);
  });

  test('the result columns are those of the contract, after the input in its order', async () => {
    const columns = await system.query(`DESCRIBE SELECT * FROM ${system.table('results')}`);
    const types = columns.map(({ column_name, column_type }) => `${String(column_name)} ${String(column_type)}`);
    expect(types.slice(0, 3)).toEqual(['customer_id VARCHAR', 'LIMIT_BAL BIGINT', 'SEX BIGINT']);
    expect(types.slice(-10)).toEqual([
      'target BIGINT',
      'prob_0 DOUBLE',
      'prob_1 DOUBLE',
      'pred_datetime TIMESTAMP WITH TIME ZONE',
      'decision BIGINT',
      'record_index BIGINT',
      'batch_id VARCHAR',
      'model VARCHAR',
      'model_version VARCHAR',
      'model_sha256 VARCHAR',
    ]);
  });
});

describe('columns', () => {
  test('an outcome that only later records of a JSON file have is read, and makes metrics', async () => {
    const records = lines.slice(0, 4_000).map((line, index) => {
      const { target, ...applicant } = JSON.parse(line) as { target: number };
      return JSON.stringify(index < 2_000 ? applicant : { ...applicant, target });
    });
    const batch = await system.run(await system.put('gs://inputs/late.ndjson', { text: records.join('\n') }));
    expect(batch).toMatchObject({ state: 'done', rows: { done: 4_000 } });
    expect(batch.metrics?.find(({ class: name }) => name === 'accuracy')?.support).toBe(2_000);
  });

  test('without any outcome there are no metrics', async () => {
    const uri = 'gs://inputs/no-outcome.parquet';
    const source = `read_json('${system.pathOf('gs://inputs/good.ndjson')}')`;
    await system.query(`COPY (SELECT * REPLACE (NULL::BIGINT AS target) FROM ${source}) TO '${system.pathOf(uri)}'`);
    const batch = await system.run(uri);
    expect(batch).toMatchObject({ state: 'done', rows: { done: 10_000 }, output: { metrics: null } });
    expect(batch.metrics).toBeUndefined();
  });

  test('moments and clock times of Parquet keep what they say, in whatever zone the worker is', async () => {
    const uri = 'gs://inputs/times.parquet';
    const source = `read_json('${system.pathOf('gs://inputs/good.ndjson')}')`;
    await system.query(
      `COPY (SELECT *, TIMESTAMPTZ '2026-03-01 10:00:00+00' AS moment, TIMESTAMP '2026-03-01 10:00:00' AS clock, DATE '2026-03-01' AS day
         FROM ${source} LIMIT 10) TO '${system.pathOf(uri)}'`,
    );
    const elsewhere = await LocalSystem.start({ manifest: exampleManifest() });
    try {
      await elsewhere.startWorker({ TZ: 'America/New_York' });
      await elsewhere.put(uri, { file: system.pathOf(uri) });
      expect(await elsewhere.run(uri)).toMatchObject({ state: 'done' });
      const [times] = await elsewhere.query(
        `SELECT epoch(moment) AS moment, typeof(moment) AS moment_type, clock::VARCHAR AS clock, typeof(clock) AS clock_type, day::VARCHAR AS day
         FROM ${elsewhere.table('results')} LIMIT 1`,
      );
      expect(times).toEqual({
        moment: Date.parse('2026-03-01T10:00:00Z') / 1000,
        moment_type: 'TIMESTAMP WITH TIME ZONE',
        clock: '2026-03-01 10:00:00',
        clock_type: 'TIMESTAMP',
        day: '2026-03-01',
      });
    } finally {
      await elsewhere.stop();
    }
  });
});

describe('records that break the schema', () => {
  test('3 in 10,000: they are named, the rest is scored', async () => {
    const records = [...lines];
    records[17] = changed(17, { AGE: 'forty' });
    records[5_000] = changed(5_000, { PAY_0: 99, BILL_AMT1: undefined });
    records[9_999] = changed(9_999, { LIMIT_BAL: 1e300 });
    const batch = await system.run(await system.put('gs://inputs/three-bad.ndjson', { text: records.join('\n') }));
    expect(batch).toMatchObject({ state: 'done', rows: { total: 10_000, done: 9_997, failed: 3 } });
    const rejects = await system.query(
      `SELECT record_index::INTEGER AS record_index, reason FROM ${system.table('rejects')} WHERE batch_id = '${batch.id}' ORDER BY 1`,
    );
    expect(rejects).toEqual([
      { record_index: 17, reason: 'AGE: must be an integer' },
      { record_index: 5_000, reason: 'PAY_0: must be <= 9; BILL_AMT1: is missing' },
      { record_index: 9_999, reason: expect.stringMatching(/^LIMIT_BAL: must be <= /) },
    ]);
    const [scored] = await system.query(
      `SELECT count(*)::INTEGER AS rows, count(*) FILTER (record_index IN (17, 5000, 9999))::INTEGER AS bad
       FROM ${system.table('results')} WHERE batch_id = '${batch.id}'`,
    );
    expect(scored).toEqual({ rows: 9_997, bad: 0 });
  });

  test.each([
    ['Unix', '\n'],
    ['Windows', '\r\n'],
  ])(
    'CSV with %s line breaks: values too many, too few, or badly quoted reject a record alone',
    async (name, lineBreak) => {
      const [header, ...records] = [...csv];
      records[1] = `${records[1]},surplus`;
      records[2_500] = 'C1,20000';
      records[2_501] = `"C2"x,${(records[2_501] as string).split(',').slice(1).join(',')}`;
      const batch = await system.run(
        await system.put(`gs://inputs/ragged-${name}.csv`, { text: [header, ...records].join(lineBreak) }),
      );
      expect(batch).toMatchObject({ state: 'done', rows: { total: 10_000, done: 9_997, failed: 3 } });
      const rejects = await system.query(
        `SELECT record_index::INTEGER AS record_index, reason FROM ${system.table('rejects')} WHERE batch_id = '${batch.id}' ORDER BY 1`,
      );
      expect(rejects).toEqual([
        { record_index: 1, reason: 'has more values than the header has names' },
        { record_index: 2_500, reason: expect.stringContaining('PAY_AMT6: is missing') },
        { record_index: 2_501, reason: 'has a quote that is not closed, or text after a closing quote' },
      ]);
      // Records after the bad ones keep their own index.
      const [next] = await system.query(
        `SELECT customer_id FROM ${system.table('results')} WHERE batch_id = '${batch.id}' AND record_index = 2502`,
      );
      expect(next).toEqual({ customer_id: (records[2_502] as string).split(',')[0] });
    },
  );

  test('half of them: the batch fails, with the reasons on record and no results', async () => {
    const records = lines.map((line, index) => (index % 2 === 0 ? line : changed(index, { SEX: 3 })));
    const batch = await system.run(await system.put('gs://inputs/half-bad.ndjson', { text: records.join('\n') }));
    expect(batch).toMatchObject({ state: 'failed', error: { code: 'TooManyRejects' } });
    expect(batch.error?.message).toContain('5000 of 10000 records');
    expect(await resultsOf(batch.id)).toBe(0);
    expect(batch).toMatchObject({ rows: { done: 0, failed: 5_000 } });
    expect(batch.output.rejects).toContain('risk_model_rejects');
    const [rejects] = await system.query(
      `SELECT count(*)::INTEGER AS rows FROM ${system.table('rejects')} WHERE batch_id = '${batch.id}'`,
    );
    expect(rejects).toEqual({ rows: 5_000 });
  });
});

async function resultsOf(batchId: string): Promise<number> {
  const [count] = await system.query(
    `SELECT count(*)::INTEGER AS rows FROM ${system.table('results')} WHERE batch_id = '${batchId}'`,
  );
  return Number(count?.['rows']);
}

/** A line of ten million names. */
function wide(): string {
  return Array.from({ length: 10_000_000 }, (_, column) => `c${column}`).join(',');
}

describe('a file that can not be scored fails the batch with a clear error and writes nothing', () => {
  test.each<[name: string, file: string, content: () => string | Buffer, code: string, message: string | RegExp]>([
    [
      'truncated JSON',
      'truncated.json',
      () => `[${lines.slice(0, 100).join(',').slice(0, -40)}`,
      'InvalidJson',
      /the array is not closed: the file ends at byte \d+, in the middle of record 99/,
    ],
    [
      'a broken line of NDJSON',
      'broken.ndjson',
      () => lines.with(4_321, '{"AGE": 1,').join('\n'),
      'InvalidJson',
      /record 4321 \(at byte \d+\) is not a JSON object/,
    ],
    [
      'a broken element of a JSON array',
      'broken.json',
      () => `[${lines.with(7_654, '{"AGE": 1 2}').join(',')}]`,
      'InvalidJson',
      /record 7654 \(at byte \d+\) is not a JSON object/,
    ],
    ['an empty file', 'empty.csv', () => '', 'EmptyInput', 'the file is empty'],
    ['an empty gzip file', 'empty.csv.gz', () => gzipSync(''), 'EmptyInput', 'the file is empty once decompressed'],
    ['an empty JSON array', 'none.json', () => '[ ]', 'EmptyInput', 'it has no records'],
    ['a CSV with a header only', 'header.csv', () => `${csv[0]}\n`, 'EmptyInput', 'it has no records'],
    [
      'a CSV header 10 million columns wide',
      'wide.csv',
      () => `${wide()}\n1\n`,
      'RecordTooLong',
      'record 0 (at byte 0) is longer than 1048576 bytes',
    ],
    [
      'a CSV line 10 million columns wide',
      'wide-line.csv',
      () => `${csv.slice(0, 50).join('\n')}\n${'1,'.repeat(10_000_000)}\n`,
      'RecordTooLong',
      /record 49 \(at byte \d+\) is longer than/,
    ],
    [
      'a quote that never closes',
      'quote.csv',
      () => `${csv.slice(0, 50).join('\n')}\n"C9,1\n`,
      'InvalidCsv',
      /record 49 \(at byte \d+\) opens a quote that is never closed/,
    ],
    [
      'gzip that is cut off',
      'cut.ndjson.gz',
      () => gzipSync(lines.join('\n')).subarray(0, 5_000),
      'InvalidGzip',
      "can't be decompressed",
    ],
    [
      'a Parquet file that is none',
      'not.parquet',
      () => 'PAR1 and nothing',
      'InvalidParquet',
      'is not a readable Parquet file',
    ],
    [
      'a column that the model needs and the file lacks',
      'lacks.csv',
      () => csv.join('\n').replace('LIMIT_BAL', 'limit_bal'),
      'MissingColumns',
      'the input lacks the column LIMIT_BAL, which the model needs (it has "limit_bal": names are case-sensitive)',
    ],
    [
      'a column named as a result',
      'reserved.csv',
      () => csv.map((line, i) => `${line},${i === 0 ? 'prob_1' : '0.5'}`).join('\n'),
      'ReservedColumn',
      `the input's column "prob_1" has the name of a result column`,
    ],
    [
      'two columns of one name',
      'twice.csv',
      () => csv.map((line, i) => `${line},${i === 0 ? 'AGE' : '5'}`).join('\n'),
      'InvalidCsv',
      'the columns "AGE" and "AGE"',
    ],
  ])('%s', async (_, file, content, code, message) => {
    const batch = await system.run(await system.put(`gs://inputs/${file}`, { text: content() }));
    expect(batch).toMatchObject({ state: 'failed', error: { code } });
    expect(batch.error?.message).toMatch(message);
    expect(await resultsOf(batch.id)).toBe(0);
  });

  test('a missing file', async () => {
    const batch = await system.run('gs://inputs/nothing.csv');
    expect(batch).toMatchObject({
      state: 'failed',
      error: { code: 'NotFound', message: 'gs://inputs/nothing.csv does not exist' },
    });
  });

  test('a file that changes while it is read', async () => {
    const uri = await system.put('gs://inputs/changing.ndjson', {
      text: Array.from({ length: 20 }, () => lines.join('\n')).join('\n'),
    });
    const { id } = await system.submit(uri);
    await system.waitFor(id, ({ rows }) => rows.done > 0);
    await writeFile(system.pathOf(uri), lines.toReversed().join('\n'));
    const batch = await system.waitForEnd(id);
    expect(batch).toMatchObject({ state: 'failed', error: { code: 'InputChanged' } });
    expect(batch.error?.message).toContain(`${uri} was changed while it was being read`);
    expect(await resultsOf(id)).toBe(0);
  });

  test('records of a megabyte each, hundreds of them: scored in chunks that fit', async () => {
    const padding = 'x'.repeat(1_000_000);
    const uri = await system.put('gs://inputs/large-records.ndjson', {
      text: Array.from({ length: 300 }, (_, index) => changed(index, { padding })).join('\n'),
    });
    const worker = await system.startWorker();
    const batch = await system.run(uri);
    expect(batch).toMatchObject({ state: 'done', rows: { total: 300, done: 300 } });
    const memory = Math.round(worker.peakMemory() / 1e6);
    printFigure(`300 records of 1 MB: a worker's memory at most ${memory} MB`);
    expect(memory).toBeLessThan(1_000);
    await worker.stop();
  });

  test('nothing of what failed is left in the staging folder', async () => {
    // A batch has failed before the last of its jobs has cleaned up.
    await eventually(async () => {
      const left = await system.query(`SELECT file FROM glob('${system.folder}/buckets/riskmodel-staging/**')`);
      expect(left).toEqual([]);
    });
  });
});
