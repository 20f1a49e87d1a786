import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Engine, literal } from '../../columnar/engine.ts';
import type { Column, ColumnType, Commit, Table, Warehouse } from '../warehouse.ts';

/** A warehouse, and what a test needs to put rows in and to see them. */
export interface WarehouseUnderTest {
  warehouse: Warehouse;
  dataset: string;
  /** Stages a local file. Returns its URI. */
  stage(name: string, file: string): Promise<string>;
  /** Runs SQL's `SELECT columns FROM table`; the columns are expressions that DuckDB and BigQuery both know. */
  select(columns: string, table: Table): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

const id: Column = { name: 'id', type: 'INT64' };
const note: Column = { name: 'note', type: 'STRING' };

/** What every warehouse does, whatever its tables are made of. */
export function describeWarehouse(open: () => Promise<WarehouseUnderTest>): void {
  const run = randomUUID().slice(0, 8);
  let count = 0;
  let folder: string;
  let engine: Engine;
  let opened: WarehouseUnderTest;
  let warehouse: Warehouse;
  let table: (...columns: Column[]) => Table;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'warehouse-contract-'));
    engine = await Engine.open({ threads: 1, memoryLimit: 200e6, tempDir: folder });
    opened = await open();
    ({ warehouse } = opened);
  });

  afterAll(async () => {
    engine.close();
    await opened.close();
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(() => {
    const name = `contract_${run}_${count++}`;
    table = (...columns) => ({ dataset: opened.dataset, name, columns });
  });

  /** The commit of that name to this test's table. */
  function commit(name: string): Commit {
    return { id: `${name}-${run}-${count}`, model: 'Credit.Default' };
  }

  async function stage(sql: string): Promise<string> {
    const name = `${randomUUID()}.parquet`;
    const file = join(folder, name);
    await engine.use((connection) => connection.run(`COPY (${sql}) TO ${literal(file)} (FORMAT parquet)`));
    return opened.stage(name, file);
  }

  /** Stages an object whose rows have these ids. */
  function staged(...ids: number[]): Promise<string> {
    return stage(`SELECT i::BIGINT AS id, 'row ' || i AS note FROM unnest([${ids.join(', ')}]) AS v(i)`);
  }

  async function idsInTable(): Promise<number[]> {
    const rows = await opened.select('id', table());
    return rows.map((row) => Number(row['id'])).toSorted((a, b) => a - b);
  }

  describe('an append', () => {
    test('adds all rows of all objects', async () => {
      await warehouse.prepare(table(id, note));
      expect(await warehouse.append(table(id, note), [await staged(3, 1), await staged(2)], commit('one'))).toBe(true);
      expect(await warehouse.append(table(id, note), [await staged(4)], commit('two'))).toBe(true);
      expect(await idsInTable()).toEqual([1, 2, 3, 4]);
    });

    test('made again changes nothing, whatever is staged by then', async () => {
      await warehouse.prepare(table(id, note));
      await warehouse.append(table(id, note), [await staged(1)], commit('one'));
      expect(await warehouse.append(table(id, note), [await staged(2)], commit('one'))).toBe(false);
      const gone = `${await staged(3)}-gone`;
      expect(await warehouse.append(table(id, note), [gone], commit('one'))).toBe(false);
      expect(await idsInTable()).toEqual([1]);
    });

    test('made by eight at once lands once', async () => {
      await warehouse.prepare(table(id, note));
      const objects = [await staged(1, 2), await staged(3)];
      const landed = await Promise.all(
        Array.from({ length: 8 }, () => warehouse.append(table(id, note), objects, commit('one'))),
      );
      expect(landed.filter(Boolean)).toHaveLength(1);
      expect(await idsInTable()).toEqual([1, 2, 3]);
    });

    test('of one name to two tables lands in both', async () => {
      const other = { ...table(id, note), name: `${table().name}_other` };
      await warehouse.prepare(table(id, note));
      await warehouse.prepare(other);
      expect(await warehouse.append(table(id, note), [await staged(1)], commit('one'))).toBe(true);
      expect(await warehouse.append(other, [await staged(2)], commit('one'))).toBe(true);
      expect(await idsInTable()).toEqual([1]);
    });

    test('of columns in another order than those of the table puts values where they belong', async () => {
      await warehouse.prepare(table(id, note));
      await warehouse.append(table(id, note), [await staged(1)], commit('one'));
      const turned = await stage(`SELECT 'row 2' AS note, 2::BIGINT AS id`);
      await warehouse.append(table(note, id), [turned], commit('two'));
      expect(await idsInTable()).toEqual([1, 2]);
    });

    test('of fewer columns than those of the table leaves the others empty', async () => {
      await warehouse.prepare(table(id));
      await warehouse.append(table(id), [await stage('SELECT 1::BIGINT AS id')], commit('one'));
      await warehouse.prepare(table(id, note));
      await warehouse.append(table(id, note), [await staged(2)], commit('two'));
      await warehouse.append(table(id), [await stage('SELECT 3::BIGINT AS id')], commit('three'));
      const rows = await opened.select('id, note', table());
      expect(Object.fromEntries(rows.map((row) => [row['id'], row['note']]))).toEqual({ 1: null, 2: 'row 2', 3: null });
    });

    test('of no objects is refused', async () => {
      await warehouse.prepare(table(id, note));
      await expect(warehouse.append(table(id, note), [], commit('one'))).rejects.toThrow('no Parquet files');
    });

    test.each<[why: string, bad: (good: string) => Promise<string>]>([
      ['is not there', async (good) => `${good}-gone`],
      ['is no Parquet', () => opened.stage('no-parquet.parquet', import.meta.filename)],
    ])('of which one object %s adds nothing', async (_, bad) => {
      await warehouse.prepare(table(id, note));
      const good = await staged(1);
      await warehouse.append(table(id, note), [await staged(0)], commit('one'));
      await expect(warehouse.append(table(id, note), [good, await bad(good)], commit('two'))).rejects.toThrow();
      expect(await idsInTable()).toEqual([0]);
      expect(await warehouse.append(table(id, note), [good], commit('three'))).toBe(true);
      expect(await idsInTable()).toEqual([0, 1]);
    });

    test('keeps the type and the value of every kind of column', async () => {
      const types: ColumnType[] = ['STRING', 'INT64', 'FLOAT64', 'BOOL', 'TIMESTAMP', 'DATETIME', 'DATE'];
      const all = table(...types.map((type): Column => ({ name: `a_${type.toLowerCase()}`, type })));
      const values = [
        `'é''"'`,
        `${2n ** 53n - 1n}::BIGINT`,
        `0.1::DOUBLE`,
        'true',
        `TIMESTAMPTZ '2026-01-02T03:04:05.678901Z'`,
        `TIMESTAMP '2026-01-02 03:04:05.678901'`,
        `DATE '2026-01-02'`,
      ];
      await warehouse.prepare(all);
      const row = (list: string[]): string => list.map((value, i) => `${value} AS ${all.columns[i]?.name}`).join(', ');
      const full = await stage(`SELECT ${row(values)}`);
      await warehouse.append(all, [full], commit('full'));
      const casts = all.columns.map(({ name }) => `CAST(${name} AS STRING) AS ${name}`).join(', ');
      const [read] = await opened.select(casts, all);
      expect(read).toMatchObject({ a_string: `é'"`, a_int64: '9007199254740991', a_float64: '0.1', a_bool: 'true' });
      expect(read?.['a_timestamp']).toMatch(/^2026-01-02 03:04:05.678901\+00/);
      expect(read?.['a_datetime']).toMatch(/^2026-01-02[ T]03:04:05.678901$/);
      expect(read?.['a_date']).toBe('2026-01-02');
    });
  });

  describe('preparing a table', () => {
    test('is fine again and again, for some of its columns and in any order', async () => {
      await warehouse.prepare(table(id, note));
      await warehouse.prepare(table(id, note));
      await warehouse.prepare(table(note));
      await warehouse.prepare(table(note, id));
    });

    test.each<[why: string, column: Column, message: string]>([
      [
        'another type',
        { name: 'id', type: 'STRING' },
        'column id would be STRING, but table DATASET.TABLE has id as INT64: ',
      ],
      [
        'the same name in other case, which a warehouse does not tell apart',
        { name: 'ID', type: 'INT64' },
        'column ID would be INT64, but table DATASET.TABLE has id as INT64: ',
      ],
    ])('refuses a column of %s', async (_, column, message) => {
      await warehouse.prepare(table(id, note));
      const { dataset, name } = table();
      await expect(warehouse.prepare(table(note, column))).rejects.toMatchObject({
        code: 'TableTypeConflict',
        retry: 'never',
        message: expect.stringContaining(message.replace('DATASET', dataset).replace('TABLE', name)),
      });
    });

    test.each<[ColumnType, ColumnType]>([
      ['STRING', 'INT64'],
      ['INT64', 'FLOAT64'],
      ['FLOAT64', 'INT64'],
      ['BOOL', 'STRING'],
      ['TIMESTAMP', 'DATETIME'],
      ['DATETIME', 'DATE'],
      ['DATE', 'TIMESTAMP'],
    ])('takes a %s for itself and for no %s', async (type, other) => {
      await warehouse.prepare(table({ name: 'x', type }));
      await warehouse.prepare(table({ name: 'x', type }));
      await expect(warehouse.prepare(table({ name: 'x', type: other }))).rejects.toThrow(`has x as ${type}`);
    });

    test('remembers columns that were added later', async () => {
      await warehouse.prepare(table(id));
      await warehouse.prepare(table(id, note));
      await expect(warehouse.prepare(table({ name: 'note', type: 'INT64' }))).rejects.toThrow('has note as STRING');
      await expect(warehouse.prepare(table({ name: 'id', type: 'DATE' }))).rejects.toThrow('has id as INT64');
    });

    test('that was refused adds none of its columns', async () => {
      await warehouse.prepare(table(id));
      await expect(warehouse.prepare(table(note, { name: 'id', type: 'STRING' }))).rejects.toThrow('has id as INT64');
      await warehouse.prepare(table({ name: 'note', type: 'FLOAT64' }));
    });

    test('by several at once remembers the columns of all', async () => {
      const names = Array.from({ length: 8 }, (_, i) => `column_${i}`);
      await Promise.all(names.map((name) => warehouse.prepare(table({ name, type: 'INT64' }))));
      for (const name of names) {
        await expect(warehouse.prepare(table({ name, type: 'STRING' }))).rejects.toThrow(`has ${name} as INT64`);
      }
    });

    test('by several at once with different types lets one through', async () => {
      const types = ['INT64', 'STRING', 'FLOAT64', 'BOOL'] as const;
      const prepared = await Promise.allSettled(types.map((type) => warehouse.prepare(table({ name: 'x', type }))));
      expect(prepared.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });

    test('keeps to one table', async () => {
      await warehouse.prepare(table(id));
      await warehouse.prepare({ ...table({ name: 'id', type: 'STRING' }), name: `${table().name}_other` });
    });
  });
}
