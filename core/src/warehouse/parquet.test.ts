import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Engine, literal } from '../columnar/engine.ts';
import { FolderStore } from '../storage/folder.ts';
import { ParquetWarehouse } from './parquet.ts';
import { describeWarehouse } from './testing/warehouse-contract.ts';
import type { Column, Commit, Table } from './warehouse.ts';

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

function commit(id: string): Commit {
  return { id, model: 'credit' };
}

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

describeWarehouse(async () => {
  const root = await mkdtemp(join(tmpdir(), 'warehouse-'));
  const buckets = new FolderStore(join(root, 'buckets'));
  const opened = new ParquetWarehouse(join(root, 'warehouse'), { store: buckets });
  return {
    warehouse: opened,
    dataset: 'risk',
    stage: async (name, file) => {
      const uri = `gs://staging/${name}`;
      await mkdir(dirname(buckets.pathOf(uri)), { recursive: true });
      await copyFile(file, buckets.pathOf(uri));
      return uri;
    },
    select: (columns, table) => {
      const files = literal(join(opened.locate(table), '*.parquet'));
      return engine.use(async (connection) => {
        await connection.run("SET TimeZone = 'UTC'");
        const found = await connection.runAndReadAll(
          `SELECT ${columns} FROM read_parquet(${files}, union_by_name = true)`,
        );
        return found.getRowObjectsJson();
      });
    },
    close: () => rm(root, { recursive: true, force: true }),
  };
});

test('a table lies where people look for it', () => {
  expect(warehouse.locate(tableOf())).toBe(join(folder, 'ware house', 'risk', 'results'));
});

describe('an append', () => {
  test('adds all rows of all objects, in their order', async () => {
    const objects = [await staged('b', 3, 1), await staged('a', 2)];
    expect(await warehouse.append(tableOf(id, note), objects, commit('commit-1'))).toBe(true);
    expect(await warehouse.append(tableOf(id, note), [await staged('c', 4)], commit('commit-2'))).toBe(true);
    expect(await idsInTable()).toEqual([1, 2, 3, 4]);
    expect((await filesOfTable()).toSorted()).toEqual(['commit-1.parquet', 'commit-2.parquet']);
  });

  test('made again changes nothing, whatever is staged by then', async () => {
    await warehouse.append(tableOf(id, note), [await staged('a', 1)], commit('commit'));
    expect(await warehouse.append(tableOf(id, note), [await staged('b', 2)], commit('commit'))).toBe(false);
    await store.delete('gs://staging/a.parquet');
    expect(await warehouse.append(tableOf(id, note), ['gs://staging/a.parquet'], commit('commit'))).toBe(false);
    expect(await idsInTable()).toEqual([1]);
  });

  test('made by eight at once lands once', async () => {
    const objects = [await staged('a', 1, 2), await staged('b', 3)];
    const landed = await Promise.all(
      Array.from({ length: 8 }, () => warehouse.append(tableOf(id, note), objects, commit('commit'))),
    );
    expect(landed.filter(Boolean)).toHaveLength(1);
    expect(await idsInTable()).toEqual([1, 2, 3]);
    expect(await filesOfTable()).toEqual(['commit.parquet']);
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
    await expect(warehouse.append(tableOf(id, note), [good, await last()], commit('commit'))).rejects.toMatchObject(
      error,
    );
    expect(await filesOfTable()).toEqual([]);
    expect(await warehouse.append(tableOf(id, note), [good], commit('commit'))).toBe(true);
    expect(await idsInTable()).toEqual([1]);
  });
});

describe('preparing a table', () => {
  test('keeps to one table', async () => {
    await warehouse.prepare(tableOf(id));
    await warehouse.prepare({ ...tableOf({ name: 'id', type: 'STRING' }), name: 'other' });
    await warehouse.prepare({ ...tableOf({ name: 'id', type: 'STRING' }), dataset: 'other' });
  });

  test('does not make a table look as if it had rows', async () => {
    await warehouse.prepare(tableOf(id, note));
    await warehouse.append(tableOf(id, note), [await staged('a', 7)], commit('commit'));
    expect(await idsInTable()).toEqual([7]);
  });
});
