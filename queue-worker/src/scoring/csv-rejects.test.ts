import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Engine } from '@riskmodel/core/columnar/engine.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import type { BatchPlan } from '../plan.ts';
import { findSplitErrors } from './csv-rejects.ts';
import { openChunk } from './source.ts';

const surplus = 'has more values than the header has names';
const quote = 'has a quote that is not closed, or text after a closing quote';
const encoding = 'is not valid UTF-8';

let folder: string;
let store: FolderStore;
let engine: Engine;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'csv-rejects-'));
  store = new FolderStore(folder);
  engine = await Engine.open({ threads: 2, memoryLimit: 200e6, tempDir: folder });
});

afterAll(async () => {
  engine.close();
  await rm(folder, { recursive: true, force: true });
});

/** Reads a chunk of CSV with the columns a and b: the values of a in the rows there are, and the reasons by record. */
async function readChunk(text: string | Buffer): Promise<{ rows: unknown[]; errors: [number, string][] }> {
  const uri = 'gs://inputs/chunk.csv';
  await rm(join(folder, 'inputs'), { recursive: true, force: true });
  const file = join(folder, 'source');
  await writeFile(file, text);
  await store.putFileIfAbsent(uri, file);
  await rm(file);
  const object = await store.stat(uri);
  const plan = {
    input: { format: 'csv', files: [{ object, csv: { delimiter: ',' } }] },
    columns: ['a', 'b'].map((name) => ({ name, type: 'STRING', role: 'other' })),
  } as unknown as BatchPlan;
  const chunk = {
    index: 0,
    firstRecord: 0,
    file: 0,
    firstInFile: 0,
    records: 0,
    start: 0,
    end: object?.size as number,
  };
  const source = await openChunk(plan, chunk, { store, tempDir: folder });
  try {
    return await engine.use(async (connection) => {
      await connection.run(`CREATE TEMP TABLE rows AS SELECT * FROM ${source.sql}`);
      const rows = await connection.runAndReadAll('SELECT a FROM rows');
      const errors = await findSplitErrors(connection, source.path);
      return { rows: rows.getRowsJS().map(([a]) => a), errors: [...errors] };
    });
  } finally {
    await source.release();
  }
}

describe.each([
  ['Unix', '\n'],
  ['Windows', '\r\n'],
])('records of a chunk with %s line breaks', (_, lineBreak) => {
  test.each<[why: string, records: string[], rows: string[], errors: [number, string][]]>([
    ['all good', ['1,x', '2,y'], ['1', '2'], []],
    ['too many values', ['1,x', '2,y,z', '3,z'], ['1', '3'], [[1, surplus]]],
    ['too few values, which are missing', ['1,x', '2', '3,z'], ['1', '2', '3'], []],
    ['text after a closing quote', ['1,x', '"2"!,y', '3,z'], ['1', '3'], [[1, quote]]],
    ['the first record', ['1,x,y', '2,y'], ['2'], [[0, surplus]]],
    ['the last record', ['1,x', '2,y,z'], ['1'], [[1, surplus]]],
    [
      'one after the other',
      ['1,x,y', '2,y,z', '3,z'],
      ['3'],
      [
        [0, surplus],
        [1, surplus],
      ],
    ],
    [
      'every record',
      ['1,x,y', '2,y,z'],
      [],
      [
        [0, surplus],
        [1, surplus],
      ],
    ],
    ['one record with two errors', ['1,x', '"2"!,y,z,z,z', '3,z'], ['1', '3'], [[1, expect.any(String) as never]]],
    ['after a line break in quotes', ['1,"x', 'x"', '2,y,z', '3,z'], ['1', '3'], [[1, surplus]]],
    ['after empty lines, which are no records', ['1,x', '', '', '2,y,z', '3,z'], ['1', '3'], [[1, surplus]]],
    ['after text of several bytes a character', ['1,äöü𝄞', '2,y,z', '3,z'], ['1', '3'], [[1, surplus]]],
  ])('%s', async (_, records, rows, errors) => {
    expect(await readChunk(records.join(lineBreak) + lineBreak)).toEqual({ rows, errors });
    // The last line of a file may have no end.
    expect(await readChunk(records.join(lineBreak))).toEqual({ rows, errors });
  });

  test('what is not UTF-8 is one record', async () => {
    const text = Buffer.concat([
      Buffer.from(`1,x${lineBreak}2,`),
      Buffer.of(0xe4, 0xf6),
      Buffer.from(`${lineBreak}3,z${lineBreak}`),
    ]);
    expect(await readChunk(text)).toEqual({ rows: ['1', '3'], errors: [[1, encoding]] });
  });

  test('one in a hundred of ten thousand: each by its own number', async () => {
    const records = Array.from({ length: 10_000 }, (_, i) => (i % 100 === 7 ? `${i},x,surplus` : `${i},"x, ${i}"`));
    const { rows, errors } = await readChunk(records.join(lineBreak));
    expect(rows).toHaveLength(9_900);
    expect(errors).toEqual(Array.from({ length: 100 }, (_, i) => [100 * i + 7, surplus]));
  });
});
