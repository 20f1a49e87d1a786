import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Engine } from '@riskmodel/core/columnar/engine.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import type { ChunkRange } from '../input/plan-input.ts';
import type { BatchPlan, InputColumn } from '../plan.ts';
import { openChunk } from './source.ts';
import { withRows, type ScoringTools } from './working-table.ts';

const columns: InputColumn[] = [
  { name: 'ID', type: 'STRING', role: 'identifier' },
  { name: 'OWNS', type: 'BOOL', role: 'feature' },
  { name: 'AMOUNT', type: 'FLOAT64', role: 'feature' },
  { name: 'target', type: 'INT64', role: 'target' },
];

let folder: string;
let store: FolderStore;
let tools: ScoringTools;
let engine: Engine;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'working-table-'));
  engine = await Engine.open({ threads: 1, memoryLimit: 100e6, tempDir: folder });
  store = new FolderStore(folder);
  await mkdir(join(folder, 'inputs'));
  tools = { store, engine, tempDir: folder };
});

afterAll(async () => {
  engine.close();
  await rm(folder, { recursive: true, force: true });
});

async function chunkOf(
  format: 'csv' | 'ndjson' | 'json',
  text: string,
  records: number,
): Promise<{ plan: BatchPlan; chunk: ChunkRange }> {
  const uri = `gs://inputs/applicants.${format}`;
  await writeFile(store.pathOf(uri), text);
  const object = await store.stat(uri);
  const chunk = { index: 0, file: 0, firstRecord: 0, firstInFile: 0, records, start: 0, end: Buffer.byteLength(text) };
  const input = {
    format,
    files: [{ object }],
    chunks: [chunk],
    records,
    columns: columns.map(({ name }) => ({ name })),
  };
  return { plan: { input, columns } as unknown as BatchPlan, chunk };
}

/** What a chunk's rows are read as. */
async function read(format: 'csv' | 'ndjson', text: string, records: number): Promise<unknown[][]> {
  const { plan, chunk } = await chunkOf(format, text, records);
  return withRows(plan, chunk, tools, async (connection, { rows, splitErrors }) => {
    expect(rows + splitErrors.size).toBe(records);
    return (await connection.runAndReadAll('SELECT * FROM rows')).getRows();
  });
}

const lineOf = {
  csv: (value: string) => `a,true,"${value.replaceAll('"', '""')}",1\n`,
  bareCsv: (value: string) => `a,true,${value},1\n`,
  ndjson: (value: string) => `{"ID":"a","OWNS":1,"AMOUNT":${value},"target":1}\n`,
};

/** Every way to write a number, or something like it, that readers are known to differ in. */
const texts = (
  "1|-1|+1|1.5|.5|5.|-.5|1e5|1E5|1e+5|1e400|1e-400|-0|00012|1_000|0x10| 1|1 |\t1|\u00a01|1 000|1'000|1abc|--1|1e|e5|" +
  '1.2.3|1e1.5|-|+|.|1f|٣|inf|-inf|Infinity|nan|NaN|true|FALSE|null|NULL|NA|\\N|| |9007199254740993|1.8e308|5e-324|0.1|' +
  '123456789012345678901234567890|1.7976931348623157e308|3.4028234663852886e38|0.30000000000000004|2.2250738585072011e-308'
).split('|');
const largeNumbers = ['18446744073709551616', '-9223372036854775809', '100000000000000000000000.5'];
const noNumbers = ['[1]', '{"a":1}', '[]', '"\\u0031"'];
const jsonValues = [
  ...texts.filter(isJson),
  ...texts.map((text) => JSON.stringify(text)),
  ...largeNumbers,
  ...noNumbers,
];

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A line without a number makes the chunk be read as text. */
async function expectSame(format: 'csv' | 'ndjson', line: string, withoutNumber: string): Promise<void> {
  const [alone] = await read(format, line, 1);
  expect(alone).toEqual((await read(format, line + withoutNumber, 2))[0]);
}

describe('a value is read as the same number, or as none, by both ways', () => {
  test.each(texts)('CSV: %j', async (value) => {
    await expectSame('csv', lineOf.bareCsv(value), lineOf.bareCsv('none'));
    await expectSame('csv', lineOf.csv(value), lineOf.bareCsv('none'));
  });

  test.each(jsonValues)('JSON: %s', (value) => expectSame('ndjson', lineOf.ndjson(value), lineOf.ndjson('"none"')));
});

test('records that are left out where a number is expected are there again', async () => {
  const values = ['1', 'x', '3', '', '5'];
  const rows = await read('csv', values.map((value) => lineOf.bareCsv(value)).join(''), values.length);
  expect(rows.map((row) => row[2])).toEqual([1, Number.NaN, 3, null, 5]);
});

test('a line that is none is left out and told, a number or not', async () => {
  const text = `${lineOf.csv('1')}a,true,2,1,and more\n${lineOf.csv('3')}`;
  const { plan, chunk } = await chunkOf('csv', text, 3);
  const found = await withRows(plan, chunk, tools, async (_, { splitErrors }) => splitErrors);
  expect([...found]).toEqual([[1, 'has more values than the header has names']]);
});

describe('numbers are not read as such', () => {
  const cases = ['true', 'false'].flatMap((value) => [0, 65_533].map((at) => [value, at] as const));
  test.each(cases)('of JSON with %s, wherever in the file it is: from byte %i on', async (value, at) => {
    const begin = '{"AMOUNT":';
    const filler = at < begin.length ? '' : ' '.repeat(at - begin.length);
    const { plan, chunk } = await chunkOf('ndjson', `${begin}${filler}${value}}\n`, 1);
    const source = await openChunk(plan, chunk, tools);
    expect(source.numbersSql).toBeUndefined();
    await source.release();
  });

  test('but they are of JSON without booleans, and of CSV', async () => {
    for (const [format, text] of [
      ['ndjson', lineOf.ndjson('1')],
      ['csv', lineOf.csv('1')],
    ] as const) {
      const { plan, chunk } = await chunkOf(format, text, 1);
      const source = await openChunk(plan, chunk, tools);
      expect(source.numbersSql).toContain('DOUBLE');
      await source.release();
    }
  });
});
