import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Engine, literal } from '../columnar/engine.ts';
import { FolderStore } from '../storage/folder.ts';
import { ParquetWarehouse } from './parquet.ts';
import type { Column, Table } from './warehouse.ts';

let folder: string;
let store: FolderStore;
let engine: Engine;
let warehouse: ParquetWarehouse;

beforeAll(async () => {
  engine = await Engine.open({ threads: 1, memoryLimit: 200e6, tempDir: tmpdir() });
});

afterAll(() => engine.close());

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'warehouse-'));
  store = new FolderStore(join(folder, 'buckets'));
  warehouse = new ParquetWarehouse(join(folder, 'ware house'), { store });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const id: Column = { name: 'id', type: 'INT64' };
const note: Column = { name: 'note', type: 'STRING' };

function tableOf(...columns: Column[]): Table {
  return { dataset: 'risk', name: 'results', columns };
}

/** Stages an object whose rows have these ids. */
function staged(name: string, ...ids: number[]): Promise<string> {
  return stage(name, 'id, note', ids);
}

/** The same, with its columns the other way round. */
function stagedInTurn(name: string, ...ids: number[]): Promise<string> {
  return stage(name, 'note, id', ids);
}

async function stage(name: string, columns: string, ids: number[]): Promise<string> {
  const uri = `gs://staging/${name}.parquet`;
  const file = store.pathOf(uri);
  await mkdir(dirname(file), { recursive: true });
  const rows = ids.map((i) => `(${i}::BIGINT, 'row ${i}')`).join(', ');
  await engine.use((connection) =>
    connection.run(
      `COPY (SELECT ${columns} FROM (VALUES ${rows}) AS v(id, note)) TO ${literal(file)} (FORMAT parquet)`,
    ),
  );
  return uri;
}

/** What someone sees who reads all of the table's files. */
async function idsInTable(): Promise<number[]> {
  const files = literal(join(warehouse.locate(tableOf()), '*.parquet'));
  return engine.use(async (connection) => {
    const found = await connection.runAndReadAll(
      `SELECT id::INTEGER FROM read_parquet(${files}, union_by_name = true) ORDER BY id`,
    );
    return found.getRows().map(([number]) => Number(number));
  });
}

async function filesOfTable(): Promise<string[]> {
  return readdir(warehouse.locate(tableOf())).catch(() => []);
}

test('a table lies where people look for it', () => {
  expect(warehouse.locate(tableOf())).toBe(join(folder, 'ware house', 'risk', 'results'));
});

describe('an append', () => {
  test('adds all rows of all objects, in their order', async () => {
    const objects = [await staged('b', 3, 1), await staged('a', 2)];
    expect(await warehouse.append(tableOf(id, note), objects, 'commit-1')).toBe(true);
    expect(await warehouse.append(tableOf(id, note), [await staged('c', 4)], 'commit-2')).toBe(true);
    expect(await idsInTable()).toEqual([1, 2, 3, 4]);
    expect((await filesOfTable()).toSorted()).toEqual(['commit-1.parquet', 'commit-2.parquet']);
  });

  test('made again changes nothing, whatever is staged by then', async () => {
    await warehouse.append(tableOf(id, note), [await staged('a', 1)], 'commit');
    expect(await warehouse.append(tableOf(id, note), [await staged('b', 2)], 'commit')).toBe(false);
    await store.delete('gs://staging/a.parquet');
    expect(await warehouse.append(tableOf(id, note), ['gs://staging/a.parquet'], 'commit')).toBe(false);
    expect(await idsInTable()).toEqual([1]);
  });

  test('made by eight at once lands once', async () => {
    const objects = [await staged('a', 1, 2), await staged('b', 3)];
    const landed = await Promise.all(
      Array.from({ length: 8 }, () => warehouse.append(tableOf(id, note), objects, 'commit')),
    );
    expect(landed.filter(Boolean)).toHaveLength(1);
    expect(await idsInTable()).toEqual([1, 2, 3]);
    expect(await filesOfTable()).toEqual(['commit.parquet']);
  });

  test('of columns in another order than those of an earlier one puts values where they belong', async () => {
    await warehouse.append(tableOf(id, note), [await staged('a', 1)], 'commit-1');
    await warehouse.append(tableOf(id, note), [await stagedInTurn('b', 2)], 'commit-2');
    expect(await idsInTable()).toEqual([1, 2]);
  });

  test('of no objects is refused', async () => {
    await expect(warehouse.append(tableOf(id, note), [], 'commit')).rejects.toThrow('no Parquet files');
    expect(await filesOfTable()).toEqual([]);
  });

  test.each<[why: string, last: () => Promise<string>, error: object]>([
    ['is not there', async () => 'gs://staging/gone.parquet', { code: 'NotFound', retry: 'never' }],
    [
      'is no Parquet',
      async () => {
        await writeFile(store.pathOf('gs://staging/bad.parquet'), 'PAR1 and nonsense');
        return 'gs://staging/bad.parquet';
      },
      { message: expect.stringContaining('bad.parquet') },
    ],
    [
      'breaks off',
      async () => {
        await writeFile(store.pathOf('gs://staging/cut.parquet'), 'PAR1');
        return 'gs://staging/cut.parquet';
      },
      { message: expect.stringContaining('cut.parquet') },
    ],
    [
      'has its columns in another order',
      () => stagedInTurn('turned', 2),
      { message: expect.stringMatching(/turned\.parquet: its schema differs/) },
    ],
  ])('of which one object %s adds nothing, leaves nothing over, and can be made again', async (_, last, error) => {
    const good = await staged('good', 1);
    await expect(warehouse.append(tableOf(id, note), [good, await last()], 'commit')).rejects.toMatchObject(error);
    expect(await filesOfTable()).toEqual([]);
    expect(await warehouse.append(tableOf(id, note), [good], 'commit')).toBe(true);
    expect(await idsInTable()).toEqual([1]);
  });
});

describe('preparing a table', () => {
  test('is fine again and again, for some of its columns and in any order', async () => {
    await warehouse.prepare(tableOf(id, note));
    await warehouse.prepare(tableOf(id, note));
    await warehouse.prepare(tableOf(note));
    await warehouse.prepare(tableOf(note, id));
  });

  test.each<[why: string, column: Column, message: string]>([
    [
      'another type',
      { name: 'id', type: 'STRING' },
      "column id would be STRING, but table risk.results has id as INT64: a column that the manifest names (as a feature, identifier or target) has a type of its own, which it had not before it was named; rename the input's column, or use another dataset (spec.batch.output.dataset)",
    ],
    [
      'the same name in other case, which a warehouse does not tell apart',
      { name: 'ID', type: 'INT64' },
      'column ID would be INT64, but table risk.results has id as INT64: ',
    ],
  ])('refuses a column of %s', async (_, column, message) => {
    await warehouse.prepare(tableOf(id, note));
    await expect(warehouse.prepare(tableOf(note, column))).rejects.toMatchObject({
      code: 'TableTypeConflict',
      retry: 'never',
      message: expect.stringContaining(message),
    });
  });

  test('remembers columns that were added later', async () => {
    await warehouse.prepare(tableOf(id));
    await warehouse.prepare(tableOf(id, note));
    await expect(warehouse.prepare(tableOf({ name: 'note', type: 'INT64' }))).rejects.toThrow('has note as STRING');
    await expect(warehouse.prepare(tableOf({ name: 'id', type: 'DATE' }))).rejects.toThrow('has id as INT64');
  });

  test('that was refused adds none of its columns', async () => {
    await warehouse.prepare(tableOf(id));
    await expect(warehouse.prepare(tableOf(note, { name: 'id', type: 'STRING' }))).rejects.toThrow('has id as INT64');
    await warehouse.prepare(tableOf({ name: 'note', type: 'FLOAT64' }));
  });

  test('by several at once remembers the columns of all', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `column_${i}`);
    await Promise.all(names.map((name) => warehouse.prepare(tableOf({ name, type: 'INT64' }))));
    for (const name of names) {
      await expect(warehouse.prepare(tableOf({ name, type: 'STRING' }))).rejects.toThrow(`has ${name} as INT64`);
    }
  });

  test('by several at once with different types lets one through', async () => {
    const types = ['INT64', 'STRING', 'FLOAT64', 'BOOL'] as const;
    const prepared = await Promise.allSettled(types.map((type) => warehouse.prepare(tableOf({ name: 'x', type }))));
    expect(prepared.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('keeps to one table', async () => {
    await warehouse.prepare(tableOf(id));
    await warehouse.prepare({ ...tableOf({ name: 'id', type: 'STRING' }), name: 'other' });
    await warehouse.prepare({ ...tableOf({ name: 'id', type: 'STRING' }), dataset: 'other' });
  });

  test('does not make a table look as if it had rows', async () => {
    await warehouse.prepare(tableOf(id, note));
    await warehouse.append(tableOf(id, note), [await staged('a', 7)], 'commit');
    expect(await idsInTable()).toEqual([7]);
  });
});
