import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Engine, literal } from '@riskmodel/core/columnar/engine.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import fc from 'fast-check';
import { fileOf, planInput, type ChunkRange, type InputPlan } from './plan-input.ts';

let folder: string;
let store: FolderStore;
let engine: Engine;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plan-input-'));
  store = new FolderStore(join(folder, 'buckets'));
  engine = await Engine.open({ threads: 1, memoryLimit: 200e6, tempDir: folder });
});

afterAll(async () => {
  engine.close();
  await rm(folder, { recursive: true, force: true });
});

let objects = 0;

async function put(name: string, content: string | Uint8Array): Promise<string> {
  const uri = `gs://inputs/${objects++}/${name}`;
  await mkdir(dirname(store.pathOf(uri)), { recursive: true });
  await writeFile(store.pathOf(uri), content);
  return uri;
}

/** Puts several files into a folder of their own, whose URI it returns. */
async function putAll(files: Record<string, string | Uint8Array>): Promise<string> {
  const folderUri = `gs://inputs/${objects++}`;
  for (const [name, content] of Object.entries(files)) {
    const path = store.pathOf(`${folderUri}/${name}`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  return folderUri;
}

async function plan(uri: string, chunkRows = 2): Promise<InputPlan> {
  // A folder of its own, as each job has.
  const tempDir = await mkdtemp(join(folder, 'job-'));
  return planInput(uri, { store, engine, chunkRows, tempDir, stagingUri: 'gs://staging/batch' });
}

/** The bytes of each chunk as text. */
function textOfChunks(input: InputPlan): Promise<string[]> {
  const read = (chunk: ChunkRange): Promise<Buffer> => store.read(fileOf(input, chunk).object, chunk).then(buffer);
  return Promise.all(input.chunks.map(async (chunk) => (await read(chunk)).toString()));
}

test('a format that the request says is not asked of the name and the content', async () => {
  const uri = await put('rows.txt', '{a}\n1\n');
  expect(await plan(uri).catch((error: { code: string }) => error.code)).toBe('InvalidJson');
  const tempDir = await mkdtemp(join(folder, 'job-'));
  const options = { store, engine, chunkRows: 2, tempDir, stagingUri: 'gs://staging/batch', format: 'csv' as const };
  expect(await planInput(uri, options)).toMatchObject({ format: 'csv', columns: [{ name: '{a}' }], records: 1 });
});

describe('text is cut between records', () => {
  test.each<[name: string, text: string, format: string, columns: string[], chunks: string[]]>([
    [
      'a.csv',
      'a,b\n1,x\n2,"y\ny"\n\n3,z',
      'csv',
      ['a', 'b'],
      // The end of the last line is that of the file.
      ['1,x\n2,"y\ny"\n', '3,z'],
    ],
    ['bom.csv', '\uFEFFa;b\r\n1;x\r\n', 'csv', ['a', 'b'], ['1;x\r\n']],
    [
      'a.ndjson',
      '{"a":1}\n{"b":2}\n \n{"a":3,"c":{}}\n',
      'ndjson',
      ['a', 'b', 'c'],
      ['{"a":1}\n{"b":2}\n', '{"a":3,"c":{}}\n'],
    ],
    ['bom.ndjson', '\uFEFF{"a":1}\n', 'ndjson', ['a'], ['{"a":1}\n']],
    [
      'a.json',
      '[ {"a":1} ,\n{"a":2},{"a":"]"} ]',
      'json',
      ['a'],
      // What lies between two records of a chunk is part of it; what lies around them is not.
      ['{"a":1} ,\n{"a":2}', '{"a":"]"}'],
    ],
    ['bom.json', '\uFEFF[{"a":1}]', 'json', ['a'], ['{"a":1}']],
  ])('%s', async (name, text, format, columns, chunks) => {
    const uri = await put(name, text);
    const planned = await plan(uri);
    expect(planned).toMatchObject({
      format,
      files: [{ object: { uri } }],
      columns: columns.map((column) => ({ name: column })),
    });
    expect(await textOfChunks(planned)).toEqual(chunks);
    // The same compressed, from a decompressed copy.
    const zipped = await plan(await put(`${name}.gz`, gzipSync(text)));
    const [copy] = zipped.files;
    expect(copy?.object.uri).toMatch(/^gs:\/\/staging\/batch\/decompressed-[0-9a-f]{16}$/);
    expect(zipped).toEqual({ ...planned, files: [{ ...planned.files[0], object: copy?.object }] });
    expect(await textOfChunks(zipped)).toEqual(chunks);
  });

  test('the delimiter of CSV is kept for the chunks, which have no header', async () => {
    expect((await plan(await put('a.tsv', 'a\tb\n1\t2\n'))).files[0]?.csv).toEqual({ delimiter: '\t' });
  });
});

function quote(value: string): string {
  return `"${value.replaceAll('"', '""')}"`;
}

describe('whatever the records and however many to a chunk', () => {
  const word = fc.string({
    unit: fc.constantFrom('a', 'ä', '"', ',', '\n', '\r\n', '\\', '[', '}', ' ', '𝄞'),
    maxLength: 6,
  });
  const records = fc.array(fc.tuple(word, fc.integer()), { minLength: 1, maxLength: 12 });
  const chunkRows = fc.integer({ min: 1, max: 13 });
  const separator = fc.constantFrom('\n', '\r\n', '\n\n');

  /** How each format writes the records, and how the text of a chunk is read back. */
  const formats: {
    name: string;
    write: (records: [string, number][], separator: string) => string;
    read: (text: string) => string[];
  }[] = [
    {
      name: 'a.ndjson',
      write: (rows, lineBreak) => rows.map((row) => JSON.stringify({ row })).join(lineBreak),
      read: (text) =>
        text
          .split(/\r?\n/)
          .filter((line) => line !== '')
          .map(normal),
    },
    {
      name: 'a.json',
      write: (rows, space) => `[${space}${rows.map((row) => JSON.stringify({ row })).join(`,${space}`)}${space}]`,
      read: (text) => (JSON.parse(`[${text}]`) as unknown[]).map((record) => JSON.stringify(record)),
    },
    {
      name: 'a.csv',
      write: (rows, lineBreak) =>
        ['row,number', ...rows.map(([text, number]) => `${quote(text)},${number}`)].join(lineBreak),
      read: (text) =>
        [...text.matchAll(/"((?:[^"]|"")*)",(-?\d+)(?:\r?\n)*/g)].map(([, value, number]) =>
          JSON.stringify({ row: [(value as string).replaceAll('""', '"'), Number(number)] }),
        ),
    },
  ];

  test.each(formats)('$name: the chunks have every record once, in order, and know their number', async (format) => {
    await fc.assert(
      fc.asyncProperty(records, chunkRows, separator, fc.boolean(), async (rows, size, between, zip) => {
        const text = format.write(rows, between);
        const uri = await put(zip ? `${format.name}.gz` : format.name, zip ? gzipSync(text) : text);
        const planned = await plan(uri, size);
        const expected = rows.map((row) => JSON.stringify({ row }));
        const found: string[] = [];
        for (const [index, chunkText] of (await textOfChunks(planned)).entries()) {
          const chunk = planned.chunks[index];
          const inChunk = format.read(chunkText);
          expect(chunk).toMatchObject({ index, firstRecord: found.length, records: inChunk.length });
          expect(inChunk.length).toBe(Math.min(size, rows.length - found.length));
          found.push(...inChunk);
        }
        expect(found).toEqual(expected);
        expect(planned.records).toBe(rows.length);
      }),
      { numRuns: 60 },
    );
  });
});

function normal(line: string): string {
  return JSON.stringify(JSON.parse(line));
}

async function parquet(sql: string): Promise<string> {
  const uri = await put('a.parquet', '');
  await rm(store.pathOf(uri));
  await engine.use((connection) => connection.run(`COPY (${sql}) TO ${literal(store.pathOf(uri))} (FORMAT parquet)`));
  return uri;
}

function withOptionalColumns(uri: string): Promise<InputPlan> {
  const optionalColumns = ['a', 'AGE', 'SCORE'];
  const stagingUri = 'gs://staging/batch';
  return planInput(uri, { store, engine, chunkRows: 5000, tempDir: folder, stagingUri, optionalColumns });
}

describe('the columns of JSON are the keys of the first thousand records', () => {
  const first = '{"a":1}\n'.repeat(1000);

  test.each<[why: string, text: string, columns: string[]]>([
    ['that are all there are', first, ['a']],
    ['one of which has it', `{"AGE":1}\n${first}`, ['AGE', 'a', 'SCORE']],
    ['and those that later ones may have', `${first}{"a":1,"AGE":99}\n`, ['a', 'AGE', 'SCORE']],
  ])('%s', async (_, text, columns) => {
    const planned = await withOptionalColumns(await put('a.ndjson', text));
    expect(planned.columns.map(({ name }) => name)).toEqual(columns);
  });

  test('which those of a header are in any case', async () => {
    const planned = await withOptionalColumns(await put('a.csv', `a\n${'1\n'.repeat(1001)}`));
    expect(planned.columns.map(({ name }) => name)).toEqual(['a']);
  });

  test('and none that differs from them in case alone', async () => {
    const text = first.replaceAll('a', 'age') + '{"age":1}\n';
    await expect(withOptionalColumns(await put('a.ndjson', text))).rejects.toMatchObject({
      code: 'InvalidJson',
      message: expect.stringContaining('the columns "age" and "AGE"'),
    });
  });
});

describe('Parquet is cut by row numbers', () => {
  test('with the types of its columns', async () => {
    const planned = await plan(await parquet(`SELECT i AS a, 'x' AS "b ""c""", 1.5::FLOAT AS d FROM range(5) t(i)`));
    expect(planned).toMatchObject({
      format: 'parquet',
      records: 5,
      columns: [
        { name: 'a', type: 'BIGINT' },
        { name: 'b "c"', type: 'VARCHAR' },
        { name: 'd', type: 'FLOAT' },
      ],
    });
    expect(planned.chunks.map(({ firstRecord, records }) => [firstRecord, records])).toEqual([
      [0, 2],
      [2, 2],
      [4, 1],
    ]);
  });

  test('and refused when there is no row in it', async () => {
    await expect(plan(await parquet('SELECT 1 AS a WHERE false'))).rejects.toMatchObject({
      code: 'EmptyInput',
      message: expect.stringContaining('it has no records'),
    });
  });
});

test('an input is pinned: its plan names the version that was read', async () => {
  const uri = await put('a.csv', 'a\n1\n');
  const planned = await plan(uri);
  expect(planned.files).toMatchObject([{ object: await store.stat(uri) }]);
});

describe('several files are one input', () => {
  test('whose records count on from one file to the next, in the order of their names', async () => {
    const uri = await putAll({
      'b.csv': 'a,b\n4,x\n5,x\n',
      'a.csv': 'a,b\n1,x\n2,x\n3,x\n',
      'c.csv': 'a,b\n',
      'd.csv': '',
      'e.csv.gz': gzipSync('a,b\n6,x\n'),
      _SUCCESS: '',
    });
    const planned = await plan(`${uri}/`);
    expect(planned).toMatchObject({
      format: 'csv',
      records: 6,
      columns: [{ name: 'a' }, { name: 'b' }],
      files: [
        { object: await store.stat(`${uri}/a.csv`), csv: { delimiter: ',' } },
        { object: await store.stat(`${uri}/b.csv`), csv: { delimiter: ',' } },
        { object: { uri: expect.stringContaining('decompressed') }, csv: { delimiter: ',' } },
      ],
    });
    expect(
      planned.chunks.map(({ index, firstRecord, records, file, firstInFile }) => [
        index,
        firstRecord,
        records,
        file,
        firstInFile,
      ]),
    ).toEqual([
      [0, 0, 2, 0, 0],
      [1, 2, 1, 0, 2],
      [2, 3, 2, 1, 0],
      [3, 5, 1, 2, 0],
    ]);
    expect(await textOfChunks(planned)).toEqual(['1,x\n2,x\n', '3,x\n', '4,x\n5,x\n', '6,x\n']);
    expect(await plan(`${uri}/*.csv`)).toMatchObject({ records: 5 });
  });

  test('of which JSON may lack a column that records may lack', async () => {
    const uri = await putAll({ 'a.ndjson': '{"a":1}\n', 'b.ndjson': '{"b":1,"a":2}\n' });
    const tempDir = await mkdtemp(join(folder, 'job-'));
    const options = { store, engine, chunkRows: 2, tempDir, stagingUri: 'gs://staging/batch' };
    expect(await planInput(`${uri}/`, { ...options, optionalColumns: ['b'] })).toMatchObject({
      columns: [{ name: 'a' }, { name: 'b' }],
      records: 2,
    });
  });

  test.each<[why: string, files: Record<string, string>, code: string, message: string]>([
    [
      'of two formats',
      { 'a.csv': 'a\n1\n', 'b.json': '[{"a":1}]' },
      'MixedFiles',
      'b.json is json, but .*a.csv is csv:',
    ],
    [
      'of which one has a column more',
      { 'a.csv': 'a\n1\n', 'b.csv': 'a,b\n1,2\n' },
      'MixedFiles',
      'b.csv has the column "b", but .*a.csv has not:',
    ],
    [
      'of which one lacks a column',
      { 'a.ndjson': '{"a":1,"b":1}', 'b.ndjson': '{"a":1}' },
      'MixedFiles',
      'b.ndjson lacks the column "b", which .*a.ndjson has:',
    ],
    [
      'with the columns in another order',
      { 'a.csv': 'a,b\n1,2\n', 'b.csv': 'b,a\n1,2\n' },
      'MixedFiles',
      'b.csv has its columns in another order than .*a.csv:',
    ],
    [
      'of which one is broken',
      { 'a.json': '[{"a":1}]', 'b.json': '[{"a":1}' },
      'InvalidJson',
      'b.json: not valid JSON',
    ],
    ['without a record', { 'a.csv': 'a\n', 'b.csv': '' }, 'EmptyInput', 'has nothing to score: it has no records'],
    ['that are none', { _SUCCESS: '' }, 'NotFound', 'no object matches gs://inputs'],
  ])('%s: refused', async (_, files, code, message) => {
    const planning = plan(`${await putAll(files)}/`);
    await expect(planning).rejects.toMatchObject({ code, retry: 'never' });
    await expect(planning).rejects.toThrow(new RegExp(message));
  });
});

test('planning a compressed input twice finds the copy that is there', async () => {
  const uri = await put('a.csv.gz', gzipSync('a\n1\n'));
  const [first, second] = await Promise.all([plan(uri), plan(uri)]);
  expect(second).toEqual(first);
  expect(await plan(uri)).toEqual(first);
});

describe('what can not be planned is refused', () => {
  test.each<[why: string, name: string, content: string | Uint8Array, code: string, message: string | RegExp]>([
    [
      'an empty file',
      'a.csv',
      '',
      'EmptyInput',
      /^gs:\/\/inputs\/\d+\/a\.csv has nothing to score: the file is empty$/,
    ],
    ['an empty file in gzip', 'a.csv.gz', gzipSync(''), 'EmptyInput', /a\.csv\.gz .* empty once decompressed$/],
    ['a header alone', 'a.csv', 'a,b\n', 'EmptyInput', 'it has no records'],
    ['an empty array', 'a.json', '[]', 'EmptyInput', 'it has no records'],
    ['blank lines', 'a.ndjson', '\n \n', 'EmptyInput', 'it has no records'],
    [
      'half a gzip file',
      'a.csv.gz',
      gzipSync('a\n1\n'.repeat(999)).subarray(0, 30),
      'InvalidGzip',
      "can't be decompressed",
    ],
    ['two columns of one name', 'a.csv', 'a,b,a\n1,2,3\n', 'InvalidCsv', 'the columns "a" and "a"'],
    ['two columns that differ in case', 'a.ndjson', '{"a":1}\n{"A":2}\n', 'InvalidJson', 'the columns "a" and "A"'],
    [
      'more columns than a table has',
      'a.csv',
      `${names(10_001)}\n1\n`,
      'TooManyColumns',
      'the input has 10001 columns',
    ],
    ['a broken line', 'a.ndjson', '{"a":1}\n{"a":\n', 'InvalidJson', 'record 1 (at byte 8) is not a JSON object'],
    [
      'a line that is no object',
      'a.ndjson',
      '{"a":1}\n5\n',
      'InvalidJson',
      'record 1 (at byte 8) is not a JSON object',
    ],
    ['an array on a line', 'a.ndjson', '{"a":1}\n[2]\n', 'InvalidJson', 'record 1 (at byte 8) is not a JSON object'],
    ['an element that is no object', 'a.json', '[{"a":1},5]', 'InvalidJson', 'record 1 at byte 9 is not an object'],
    ['CSV that is called JSON', 'a.json', 'a,b\n1,2\n', 'InvalidJson', 'no "[" at byte 0'],
    ['text that is called Parquet', 'a.parquet', 'a,b\n1,2\n', 'InvalidParquet', 'is not a readable Parquet file'],
    ['a quote that is never closed', 'a.csv', 'a\n1\n"2\n', 'InvalidCsv', 'record 1 (at byte 4) opens a quote'],
  ])('%s', async (_, name, content, code, message) => {
    const failure = plan(await put(name, content));
    await expect(failure).rejects.toMatchObject({ code, retry: 'never' });
    await expect(failure).rejects.toThrow(message);
  });

  test('what is not there', async () => {
    await expect(plan('gs://inputs/none.csv')).rejects.toMatchObject({
      code: 'NotFound',
      message: 'gs://inputs/none.csv does not exist',
    });
  });

  test.each([1, 2, 3])('what is overwritten after it was opened %p times', async (times) => {
    const uri = await put('a.csv', 'a\n1\n');
    const changing = new FolderStore(join(folder, 'buckets'));
    const read = changing.read.bind(changing);
    let reads = 0;
    changing.read = async (object, range) => {
      const pieces = await buffer(await read(object, range));
      if (++reads === times) await writeFile(changing.pathOf(uri), 'a\n22\n');
      return Readable.from([pieces]);
    };
    const planning = planInput(uri, {
      store: changing,
      engine,
      chunkRows: 2,
      tempDir: folder,
      stagingUri: 'gs://staging/batch',
    });
    await expect(planning).rejects.toMatchObject({ code: 'InputChanged' });
    expect(reads).toBeGreaterThanOrEqual(times);
  });
});

function names(count: number): string {
  return Array.from({ length: count }, (_, i) => `c${i}`).join(',');
}
