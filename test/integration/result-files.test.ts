import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { outputFaults } from '../faults/faulty-worker.ts';
import { writeApplicants } from '../harness/applicants.ts';
import { eventually } from '../harness/eventually.ts';
import { faultyWorker, LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';

jest.setTimeout(180_000);

const rows = 5_000;
const input = 'gs://inputs/applicants.csv';
const env = { RISKMODEL_WORKER_LOCK_MS: '1500' };

let system: LocalSystem;

afterEach(() => system.stop());

async function start(output: Record<string, unknown>): Promise<void> {
  const batch = { chunkRows: 1_000, output: { uri: 'gs://exports/risk', ...output } };
  system = await LocalSystem.start({ manifest: exampleManifest(batch) });
  await writeApplicants({ rows, seed: 6, out: system.pathOf(input) });
}

function folderOf({ id }: Batch): string {
  return `gs://exports/risk/credit-default/${id}/`;
}

async function namesIn(batch: Batch): Promise<string[]> {
  const names: string[] = await readdir(system.pathOf(folderOf(batch))).catch(() => []);
  return names.toSorted();
}

const readers = { Parquet: 'read_parquet', CSV: 'read_csv', NDJSON: 'read_ndjson' } as const;
const extensions = { Parquet: 'parquet', CSV: 'csv', NDJSON: 'ndjson' } as const;

/** Every row once, the same as in the table where there is one. */
async function expectRows(batch: Batch, format: keyof typeof readers): Promise<void> {
  const files = `${readers[format]}('${system.pathOf(folderOf(batch))}results-*.${extensions[format]}')`;
  const sum =
    'count(*)::INTEGER AS rows, count(DISTINCT record_index)::INTEGER AS records, sum(prob_1 * (record_index + 1)) AS sum';
  const [found] = await system.query(`SELECT ${sum} FROM ${files}`);
  expect(found).toMatchObject({ rows, records: rows });
  if ((await system.fileCount('results')) > 0) {
    const [table] = await system.query(`SELECT ${sum} FROM ${system.table('results')} WHERE batch_id = '${batch.id}'`);
    expect(table).toMatchObject({ rows, records: rows });
    expect(Number(found?.['sum'])).toBeCloseTo(Number(table?.['sum']), 6);
  }
  const mark = JSON.parse(await readFile(join(system.pathOf(folderOf(batch)), '_SUCCESS'), 'utf8')) as {
    files: { name: string; rows: number }[];
  };
  expect([...mark.files.map(({ name }) => name), '_SUCCESS'].toSorted()).toEqual(await namesIn(batch));
  expect(mark.files.find(({ name }) => name.startsWith('results-'))?.rows).toBe(rows);
}

describe.each(['Parquet', 'CSV', 'NDJSON'] as const)('files of %s', (format) => {
  test('beside the tables: the results have their rows', async () => {
    await start({ format });
    await system.startWorker();
    const batch = await system.run(input);
    expect(batch).toMatchObject({ state: 'done', output: { files: folderOf(batch) } });
    expect(batch.output.results).toMatch(/risk_model_results$/);
    await expectRows(batch, format);
    expect(await namesIn(batch)).toEqual(['_SUCCESS', `results-00000-of-00001.${extensions[format]}`]);
  });

  test('instead of the tables: results, metrics and rejects, and nothing in the warehouse', async () => {
    await start({ format, tables: false });
    const good = await readFile(system.pathOf(input), 'utf8');
    await system.put(input, { text: `${good}only,three,values\n` });
    await system.startWorker();
    const batch = await system.run(input);
    const at = (kind: string): string => `${folderOf(batch)}${kind}-*.${extensions[format]}`;
    expect(batch).toMatchObject({
      state: 'done',
      rows: { total: rows + 1, done: rows, failed: 1 },
      output: { results: at('results'), metrics: at('metrics'), rejects: at('rejects'), files: folderOf(batch) },
    });
    await expectRows(batch, format);
    const read = (kind: string): string => `${readers[format]}('${system.pathOf(at(kind))}')`;
    expect(await system.query(`SELECT record_index::INTEGER AS record FROM ${read('rejects')}`)).toEqual([
      { record: rows },
    ]);
    expect(await system.query(`SELECT max(support)::INTEGER AS support FROM ${read('metrics')}`)).toEqual([
      { support: rows },
    ]);
    expect(await system.query(`SELECT file FROM glob('${system.folder}/warehouse/**')`)).toEqual([]);
  });
});

test('with too many rejects there are the reasons, and neither results nor the mark', async () => {
  await start({ tables: false, format: 'NDJSON' });
  const good = await readFile(system.pathOf(input), 'utf8');
  await system.put(input, { text: good + 'only,three,values\n'.repeat(100) });
  await system.startWorker();
  const batch = await system.run(input);
  expect(batch).toMatchObject({ state: 'failed', error: { code: 'TooManyRejects' }, output: { results: null } });
  expect(batch.output.files).toBeUndefined();
  expect(await namesIn(batch)).toEqual(['rejects-00000-of-00001.ndjson']);
});

const steps = outputFaults.filter((fault) => fault.startsWith('writing files'));

describe.each(steps)('%s', (fault) => {
  test('the worker is killed with -9: the next one finishes, every row once', async () => {
    await start({ format: 'CSV' });
    const submitted = await system.submit(input);
    const faulty = await system.startWorker({ ...env, TEST_FAULT: fault }, faultyWorker).catch(() => undefined);
    await eventually(async () => expect(faulty?.isRunning ?? false).toBe(false), 60_000);
    expect(await namesIn(submitted)).toHaveLength(
      fault.endsWith('after the mark') ? 2 : fault.includes('before the first') ? 0 : 1,
    );
    await system.startWorker(env);
    const batch = await system.waitForEnd(submitted.id);
    expect(batch).toMatchObject({ state: 'done', rows: { done: rows } });
    await expectRows(batch, 'CSV');
  });

  test('it fails twice: the step is tried again', async () => {
    await start({ format: 'CSV', tables: false });
    await system.startWorker({ ...env, TEST_FAULT: fault, TEST_FAILURES: '2' }, faultyWorker);
    const batch = await system.run(input);
    expect(batch).toMatchObject({ state: 'done', rows: { done: rows } });
    await expectRows(batch, 'CSV');
  });
});
