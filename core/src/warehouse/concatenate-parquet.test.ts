import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { concatenateParquet } from './concatenate-parquet.ts';
import {
  decodeInteger,
  decodeList,
  decodeStruct,
  encodeInteger,
  encodeList,
  encodeStruct,
  thriftType,
  type ThriftField,
} from './thrift-compact.ts';

let folder: string;
let instance: DuckDBInstance;
let connection: DuckDBConnection;

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '400MB' });
  connection = await instance.connect();
});

afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'concatenate-'));
});

afterEach(() => rm(folder, { recursive: true }));

function pathOf(name: string): string {
  return join(folder, name);
}

async function rowsOf(sql: string): Promise<Record<string, unknown>[]> {
  return (await connection.runAndReadAll(sql)).getRowObjectsJson();
}

/** Writes the rows of a query, in row groups of 2048 rows. */
async function write(name: string, sql: string, options = ''): Promise<string> {
  await connection.run(`COPY (${sql}) TO '${pathOf(name)}' (FORMAT parquet, ROW_GROUP_SIZE 2048${options})`);
  return pathOf(name);
}

/** Every kind of column that a table has, and every way in which DuckDB writes one: dictionaries, deltas, NULLs. */
function manyColumns(from: number, to: number): string {
  return `SELECT i AS id, i % 7 AS small, i * 1e15 AS huge, i / 3 AS number, i % 3 = 0 AS flag, 'label ' || i % 10 AS label,
    md5(i::VARCHAR) || repeat('é', (i % 300)::INTEGER) AS text, DATE '2020-01-01' + (i % 4000)::INTEGER AS day,
    to_timestamp(i * 1000.5) AS moment, nullif(i % 4, 0) AS gaps, if(i % 5 = 0, NULL, 'x' || i) AS text_gaps,
    NULL::DOUBLE AS nothing, CASE i % 3 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN '-inf'::DOUBLE ELSE -0.0 END AS odd,
    [i, NULL] AS list, {'a': i, 'b': ['y' || i % 3]} AS struct
    FROM range(${from}, ${to}) t(i)`;
}

/** How many rows there are, and a digest of all of them in their order. */
async function digestOf(files: string): Promise<Record<string, unknown>[]> {
  return rowsOf(`SELECT count(*) AS n, md5(string_agg(r::VARCHAR, '\n')) AS rows FROM (FROM ${files}) AS r`);
}

async function expectSameRows(output: string, inputs: readonly string[]): Promise<void> {
  const all = `read_parquet([${inputs.map((path) => `'${path}'`).join(', ')}])`;
  expect(await digestOf(`read_parquet('${output}')`)).toEqual(await digestOf(all));
}

/** Jest's own comparison of large buffers takes seconds. */
async function expectSameBytes(one: string, other: string): Promise<void> {
  expect((await readFile(one)).equals(await readFile(other))).toBe(true);
}

describe('the rows of all files, in their order', () => {
  /** How many rows each file has: row groups of 2048, 0 to 5 of them. */
  const shapes: [name: string, sizes: number[]][] = [
    ['of one file', [5000]],
    ['of one file without rows', [0]],
    ['of three files', [2048, 1, 5000]],
    ['of files without rows among others', [0, 3000, 0, 10, 0]],
    ['of files without rows', [0, 0]],
    ['of 40 files', Array.from({ length: 40 }, (_, i) => (i * 331) % 2300)],
  ];
  const writers = ['snappy', 'zstd', 'uncompressed'].flatMap((compression) =>
    ['v1', 'v2'].map((version) => `, COMPRESSION ${compression}, PARQUET_VERSION ${version}`),
  );
  const cases = shapes.flatMap(([name, sizes]) =>
    // 40 files once only; the others in all ways.
    (sizes.length < 40 ? writers : writers.slice(0, 1)).map((options): [string, string, number[]] => [
      name,
      options,
      sizes,
    ]),
  );

  test.each(cases)('%s%s', async (_, options, sizes) => {
    const inputs: string[] = [];
    let from = 0;
    for (const size of sizes) {
      inputs.push(await write(`${inputs.length}.parquet`, manyColumns(from, from + size), options));
      from += size;
    }
    const output = pathOf('output.parquet');
    await concatenateParquet(inputs, output);

    await expectSameRows(output, inputs);
    expect(
      await rowsOf(`SELECT * FROM read_parquet('${output}', file_row_number = true) WHERE file_row_number <> id`),
    ).toEqual([]);
    const groups = sizes.map((size) => Math.ceil(size / 2048)).reduce((sum, count) => sum + count, 0);
    expect(await rowsOf(`SELECT num_rows, num_row_groups FROM parquet_file_metadata('${output}')`)).toEqual([
      { num_rows: String(from), num_row_groups: String(groups) },
    ]);
  });

  test('of files larger than what is copied at once', async () => {
    const inputs = [
      await write('a.parquet', 'SELECT i AS id, random() AS x, random() AS y FROM range(200_000) t(i)'),
      await write('b.parquet', 'SELECT i AS id, random() AS x, random() AS y FROM range(200_000, 300_000) t(i)'),
    ];
    await concatenateParquet(inputs, pathOf('output.parquet'));
    await expectSameRows(pathOf('output.parquet'), inputs);
  });

  test('of files that were made of others', async () => {
    const inputs = await Promise.all(
      [0, 1, 2, 3].map((i) => write(`${i}.parquet`, manyColumns(i * 3000, (i + 1) * 3000))),
    );
    await concatenateParquet(inputs.slice(0, 2), pathOf('a.parquet'));
    await concatenateParquet(inputs.slice(2), pathOf('b.parquet'));
    await concatenateParquet([pathOf('a.parquet'), pathOf('b.parquet')], pathOf('output.parquet'));
    await concatenateParquet(inputs, pathOf('at once.parquet'));
    await expectSameBytes(pathOf('output.parquet'), pathOf('at once.parquet'));
  });
});

test('every offset moves by as much as its data', async () => {
  const inputs = [await write('a.parquet', manyColumns(0, 9000)), await write('b.parquet', manyColumns(9000, 18_000))];
  for (const input of inputs) await editFooter(input, editAt(metaData, set(10, i64, encodeInteger(4n))));
  const output = pathOf('output.parquet');
  await concatenateParquet(inputs, output);

  const content = await readFile(inputs[0] as string);
  const moved = BigInt(content.length - 8 - content.readUInt32LE(content.length - 8) - 4);
  const places: [path: number[], id: number][] = [
    [[rowGroups], 5],
    ...[9, 10, 11, 14].map((id): [number[], number] => [metaData, id]),
  ];
  for (const [path, id] of places) {
    const [first = [], second = [], both] = await Promise.all(
      [...inputs, output].map((file) => offsetsAt(file, path, id)),
    );
    expect(first.length).toBeGreaterThan(4);
    expect(both).toEqual([...first, ...second.map((offset) => offset + moved)]);
  }
});

test('one file stays as it is, to the byte', async () => {
  const input = await write('a.parquet', manyColumns(0, 9000));
  await concatenateParquet([input], pathOf('output.parquet'));
  await expectSameBytes(pathOf('output.parquet'), input);
});

describe('what speeds reading up', () => {
  let output: string;

  beforeEach(async () => {
    output = pathOf('output.parquet');
    const inputs = [0, 1, 2].map((i) =>
      write(
        `${i}.parquet`,
        `SELECT i AS id, 'only in ${i}, ' || i % 9 AS label FROM range(${i * 5000}, ${(i + 1) * 5000}) t(i)`,
      ),
    );
    await concatenateParquet(await Promise.all(inputs), output);
  });

  test('row groups have the statistics that they had', async () => {
    const groups = await rowsOf(
      `SELECT row_group_id, row_group_num_rows AS rows, stats_min_value AS min, stats_max_value AS max FROM parquet_metadata('${output}') WHERE path_in_schema = 'id'`,
    );
    expect(groups.map(({ row_group_id, rows, min, max }) => [row_group_id, rows, min, max].map(Number))).toEqual(
      [0, 5000, 10_000].flatMap((from, file) => [
        [3 * file, 2048, from, from + 2047],
        [3 * file + 1, 2048, from + 2048, from + 4095],
        [3 * file + 2, 904, from + 4096, from + 4999],
      ]),
    );
  });

  test.each([
    ['id = 12_345', 1],
    ['id BETWEEN 4_990 AND 10_010', 5021],
    ["label = 'only in 1, 5'", 556],
    ["label = 'only in 1, 9'", 0],
    ["label > 'only in 2, 5' AND id > 14_000", 333],
    ['id > 15_000', 0],
  ])('rows where %s', async (condition, count) => {
    expect(await rowsOf(`SELECT count(*)::INTEGER AS n FROM '${output}' WHERE ${condition}`)).toEqual([{ n: count }]);
  });

  test.each([
    ['only in 1, 5', [3, 4, 5]],
    ['only in 2, 0', [6, 7, 8]],
    ['only in 3, 0', []],
  ])('Bloom filters know in which row groups "%s" may be', async (label, groups) => {
    const probed = await rowsOf(`FROM parquet_bloom_probe('${output}', 'label', '${label}')`);
    expect(
      probed
        .filter(({ bloom_filter_excludes: excludes }) => excludes !== true)
        .map((row) => Number(row['row_group_id'])),
    ).toEqual(groups);
  });
});

/** Changes a file's footer. */
async function editFooter(path: string, edit: (fields: ThriftField[]) => ThriftField[]): Promise<void> {
  const content = await readFile(path);
  const start = content.length - 8 - content.readUInt32LE(content.length - 8);
  const footer = encodeStruct(edit(decodeStruct(content.subarray(start, -8))));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  await writeFile(path, Buffer.concat([content.subarray(0, start), footer, length, Buffer.from('PAR1')]));
}

/** Changes the structs at a place in a footer: a list's id, a struct's id, ... */
function editAt(
  path: number[],
  edit: (fields: ThriftField[]) => ThriftField[],
): (fields: ThriftField[]) => ThriftField[] {
  const [id, ...rest] = path;
  if (id === undefined) return edit;
  const inner = (value: Buffer): Buffer => encodeStruct(editAt(rest, edit)(decodeStruct(value)));
  return (fields) =>
    fields.map((field) => {
      if (field.id !== id) return field;
      if (field.type === thriftType.struct) return { ...field, value: inner(field.value) };
      const { type, items } = decodeList(field.value);
      return { ...field, value: encodeList({ type, items: items.map(inner) }) };
    });
}

/** Sets a field. */
function set(id: number, type: number, value: Buffer): (fields: ThriftField[]) => ThriftField[] {
  return (fields) =>
    [...fields.filter((field) => field.id !== id), { id, type, value }].toSorted((a, b) => a.id - b.id);
}

function text(value: string): Buffer {
  return Buffer.from([value.length, ...Buffer.from(value)]);
}

const rowGroups = 4;
const columns = [rowGroups, 1];
const metaData = [...columns, 3];
const { i16, i32, i64, binary, struct } = thriftType;

async function footerOf(path: string): Promise<ThriftField[]> {
  const content = await readFile(path);
  return decodeStruct(content.subarray(-8 - content.readUInt32LE(content.length - 8), -8));
}

/** The fields of the structs at a place in a footer. */
function fieldsAt(fields: ThriftField[], path: number[]): ThriftField[][] {
  const found: ThriftField[][] = [];
  editAt(path, (fields) => {
    found.push(fields);
    return fields;
  })(fields);
  return found;
}

/** The values of a field of the structs at a place in a file's footer. */
async function offsetsAt(file: string, path: number[], id: number): Promise<bigint[]> {
  return fieldsAt(await footerOf(file), path).flatMap((fields) =>
    fields.filter((field) => field.id === id).map(({ value }) => decodeInteger(value)),
  );
}

describe('what DuckDB does not write', () => {
  let inputs: string[];

  beforeEach(async () => {
    inputs = await Promise.all([0, 1].map((i) => write(`${i}.parquet`, manyColumns(i * 5000, (i + 1) * 5000))));
  });

  async function editAll(edit: (fields: ThriftField[]) => ThriftField[]): Promise<void> {
    for (const input of inputs) await editFooter(input, edit);
  }

  test('row groups are numbered anew', async () => {
    await editAll(editAt([rowGroups], set(7, i16, encodeInteger(1n))));
    await concatenateParquet(inputs, pathOf('output.parquet'));
    const numbers = fieldsAt(await footerOf(pathOf('output.parquet')), [rowGroups]).map(
      (fields) => fields.find(({ id }) => id === 7)?.value,
    );
    expect(numbers).toEqual([0n, 1n, 2n, 3n, 4n, 5n].map(encodeInteger));
    await expectSameRows(pathOf('output.parquet'), inputs);
  });

  test.each([
    ['of the footer', []],
    ['of a row group', [rowGroups]],
    ['of a column', columns],
    ["of a column's metadata", metaData],
  ])('fields %s that nobody knows stay', async (_, path) => {
    const fields = [
      { id: 200, type: i64, value: encodeInteger(-(2n ** 63n)) },
      { id: 201, type: binary, value: text('?') },
    ];
    await editAll(editAt(path, (own) => [...own, ...fields]));
    await concatenateParquet(inputs, pathOf('output.parquet'));
    for (const found of fieldsAt(await footerOf(pathOf('output.parquet')), path)) {
      expect(found.slice(-2)).toEqual(fields);
    }
    await expectSameRows(pathOf('output.parquet'), inputs);
  });

  test('page indexes, whose contents are offsets, are left out', async () => {
    for (const id of [4, 6]) await editAll(editAt(columns, set(id, i64, encodeInteger(10n))));
    for (const id of [5, 7]) await editAll(editAt(columns, set(id, i32, encodeInteger(10n))));
    await concatenateParquet(inputs, pathOf('output.parquet'));
    for (const fields of fieldsAt(await footerOf(pathOf('output.parquet')), columns)) {
      expect(fields.map(({ id }) => id)).toEqual([2, 3]);
    }
    await expectSameRows(pathOf('output.parquet'), inputs);
  });

  test('copies of metadata among the data, which have the old offsets, are not pointed to', async () => {
    await editAll(editAt(columns, set(2, i64, encodeInteger(4n))));
    await concatenateParquet(inputs, pathOf('output.parquet'));
    expect(new Set(await offsetsAt(pathOf('output.parquet'), columns, 2))).toEqual(new Set([0n]));
    await expectSameRows(pathOf('output.parquet'), inputs);
  });

  test('a file by another version of the writer is the same file', async () => {
    await editFooter(inputs[1] as string, set(6, binary, text('another')));
    await concatenateParquet(inputs, pathOf('output.parquet'));
    await expectSameRows(pathOf('output.parquet'), inputs);
  });

  test.each<[why: string, edit: (fields: ThriftField[]) => ThriftField[], message: string]>([
    ['is encrypted, but for its footer', set(8, struct, encodeStruct([])), 'it is encrypted or signed'],
    ['is signed', set(9, binary, text('key')), 'it is encrypted or signed'],
    ['has an encrypted column', editAt(columns, set(8, struct, encodeStruct([]))), 'it is encrypted'],
    ['has a column in another file', editAt(columns, set(1, binary, text('b'))), 'it has columns in other files'],
    ['has an extension', set(32_767, binary, text('?')), 'its footer has an extension'],
    ['has no schema', (fields) => fields.filter(({ id }) => id !== 2), 'its schema differs from that of'],
    ['has no number of rows', (fields) => fields.filter(({ id }) => id !== 3), 'its footer lacks field 3'],
    ['has no row groups', (fields) => fields.filter(({ id }) => id !== 4), 'its footer lacks field 4'],
    [
      'has other metadata',
      set(5, thriftType.list, encodeList({ type: struct, items: [] })),
      "its footer's field 5 differs",
    ],
    [
      'has data beyond its end',
      editAt(metaData, set(9, i64, encodeInteger(2n ** 62n))),
      'points to byte 4611686018427387904',
    ],
    ['has data before its start', editAt(metaData, set(11, i64, encodeInteger(3n))), 'points to byte 3'],
  ])('a file that %s is refused', async (_, edit, message) => {
    await editFooter(inputs[1] as string, edit);
    const failure = concatenateParquet(inputs, pathOf('output.parquet'));
    await expect(failure).rejects.toThrow(`${inputs[1]}: `);
    await expect(failure).rejects.toThrow(message);
    expect(await readdir(folder)).not.toContain('output.parquet');
  });
});

describe('a failure leaves nothing over, and names the file', () => {
  let good: string;

  beforeEach(async () => {
    good = await write('good.parquet', 'SELECT i, i::VARCHAR AS s FROM range(5000) t(i)');
  });

  test.each<[why: string, make: (path: string) => Promise<unknown>, message: string]>([
    ['empty', (path) => writeFile(path, ''), 'it has only 0 bytes'],
    ['text', (path) => writeFile(path, 'id,name\n1,a\n2,b\n'), "doesn't begin and end with PAR1"],
    ['nonsense between the magic bytes', (path) => writeFile(path, 'PAR1 nonsense\x06\0\0\0PAR1'), 'Thrift'],
    [
      'a footer longer than the file',
      (path) => writeFile(path, 'PAR1\xff\xff\0\0PAR1', 'latin1'),
      'longer than the file',
    ],
    [
      'cut short',
      async () => truncate(await write('bad.parquet', 'SELECT i, i::VARCHAR AS s FROM range(9) t(i)'), 200),
      "doesn't begin and end",
    ],
    [
      'of other columns',
      () => write('bad.parquet', 'SELECT i, i::VARCHAR AS t FROM range(9) t(i)'),
      'its schema differs from that of ',
    ],
    [
      'of other types',
      () => write('bad.parquet', 'SELECT i::INTEGER AS i, i::VARCHAR AS s FROM range(9) t(i)'),
      'its schema differs',
    ],
    [
      'of columns in another order',
      () => write('bad.parquet', 'SELECT i::VARCHAR AS s, i FROM range(9) t(i)'),
      'its schema differs',
    ],
    ['not there', async () => {}, 'no such file'],
    [
      'encrypted',
      async () => {
        // DuckDB's own way to encrypt, which it takes for too weak; the format is the same.
        await connection.run("SET force_mbedtls_unsafe = 'true'");
        await connection.run("PRAGMA add_parquet_key('key', '0123456789112345')");
        await write(
          'bad.parquet',
          'SELECT i, i::VARCHAR AS s FROM range(9) t(i)',
          ", ENCRYPTION_CONFIG {footer_key: 'key'}",
        );
      },
      'its footer is encrypted',
    ],
  ])('a file that is %s', async (_, make, message) => {
    const bad = pathOf('bad.parquet');
    await make(bad);
    const before = await readdir(folder);
    const failure = concatenateParquet([good, bad, good], pathOf('output.parquet'));
    await expect(failure).rejects.toThrow(bad);
    await expect(failure).rejects.toThrow(message);
    expect(await readdir(folder)).toEqual(before);
  });

  test('no files at all', async () => {
    await expect(concatenateParquet([], pathOf('output.parquet'))).rejects.toThrow('no Parquet files');
    expect(await readdir(folder)).toEqual(['good.parquet']);
  });

  test('an output that is there already stays', async () => {
    await writeFile(pathOf('output.parquet'), 'precious');
    await expect(concatenateParquet([good], pathOf('output.parquet'))).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readFile(pathOf('output.parquet'), 'utf8')).toBe('precious');
  });

  test('a file cut at any length', async () => {
    const content = await readFile(good);
    for (let length = 0; length < content.length; length += 997) {
      await writeFile(pathOf('bad.parquet'), content.subarray(0, length));
      await expect(concatenateParquet([good, pathOf('bad.parquet')], pathOf('output.parquet'))).rejects.toThrow(
        'bad.parquet',
      );
    }
    expect((await readdir(folder)).toSorted()).toEqual(['bad.parquet', 'good.parquet']);
  });
});
