import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Engine, literal } from '@riskmodel/core/columnar/engine.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import type { LocalCopy, ObjectInfo } from '@riskmodel/core/storage/object-store.ts';
import type { BatchPlan } from '../plan.ts';
import { openChunk } from '../scoring/source.ts';
import type { RowGroup } from './parquet-footer.ts';
import { cutByRowGroups, fetchPart, groupsOf } from './parquet-part.ts';
import { planInput } from './plan-input.ts';

/** A folder that gives nothing but ranges of bytes, as a bucket far away, and counts them. */
class DistantStore extends FolderStore {
  override readonly isLocal = false;
  bytes = 0;

  override async read(object: ObjectInfo, range: { start?: number; end?: number } = {}): Promise<Readable> {
    this.bytes += Math.min(range.end ?? object.size, object.size) - (range.start ?? 0);
    return super.read(object, range);
  }

  override openLocal(): Promise<LocalCopy> {
    throw new Error('the whole object was asked for');
  }
}

const groupRows = 2_048;
const uri = 'gs://inputs/rows.parquet';

let folder: string;
let tempDir: string;
let store: DistantStore;
let engine: Engine;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parquet-part-'));
  store = new DistantStore(join(folder, 'buckets'));
  engine = await Engine.open({ threads: 2, memoryLimit: 200e6, tempDir: folder });
  await write(
    uri,
    'SELECT range AS id, hash(range) AS h, range::VARCHAR || hash(range + 1) || hash(range + 2) || hash(range + 3) || hash(range + 4) AS text FROM range(20_000)',
  );
});

afterAll(async () => {
  engine.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  tempDir = await mkdtemp(join(folder, 'job-'));
  store.bytes = 0;
});

async function write(target: string, sql: string): Promise<void> {
  const file = store.pathOf(target);
  await mkdir(dirname(file), { recursive: true });
  await query(`COPY (${sql}) TO ${literal(file)} (FORMAT parquet, ROW_GROUP_SIZE ${groupRows})`);
}

function query(sql: string): Promise<Record<string, unknown>[]> {
  return engine.use(async (connection) => (await connection.runAndReadAll(sql)).getRowObjectsJson());
}

function group(records: number, bytes = records * 10): RowGroup {
  return { records, bytes, start: 0, end: 0 };
}

function plan(input = uri, chunkRows = 1_000): ReturnType<typeof planInput> {
  return planInput(input, { store, engine, chunkRows, tempDir, stagingUri: 'gs://staging/batch' });
}

describe('an object of Parquet that is far away', () => {
  test('is planned by its end alone, in chunks along its row groups', async () => {
    const { size } = (await store.stat(uri)) as ObjectInfo;
    expect(size).toBeGreaterThan(3 * (256 << 10));
    const { chunks, columns, records } = await plan();
    expect({ columns, records }).toEqual({
      records: 20_000,
      columns: [
        { name: 'id', type: 'BIGINT' },
        { name: 'h', type: 'UBIGINT' },
        { name: 'text', type: 'VARCHAR' },
      ],
    });
    // Its first bytes tell the format.
    expect(store.bytes).toBe((256 << 10) + 4_096);
    expect(chunks.map(({ firstRecord, records: count }) => [firstRecord, count])).toEqual([
      ...Array.from({ length: 9 }, (_, group) => [group * groupRows, groupRows]),
      [18_432, 1_568],
    ]);
    expect(await readdir(tempDir)).toEqual([]);
  });

  test.each([1_000, 3_000, 5_000, 100_000])(
    'gives every record once, in its place, in chunks of %d rows',
    async (chunkRows) => {
      const input = await plan(uri, chunkRows);
      const ids: number[] = [];
      for (const chunk of input.chunks) {
        const source = await openChunk({ input } as BatchPlan, chunk, { store, tempDir });
        const whole = literal(store.pathOf(uri));
        const range = `id >= ${chunk.firstRecord} AND id < ${chunk.firstRecord + chunk.records}`;
        const same = `SELECT count(*)::INTEGER AS rows FROM (FROM ${source.sql} INTERSECT FROM ${whole} WHERE ${range})`;
        expect(await query(same)).toEqual([{ rows: chunk.records }]);
        ids.push(...(await query(`SELECT id::INTEGER AS id FROM ${source.sql}`)).map(({ id }) => Number(id)));
        await source.release();
      }
      expect(ids).toEqual(Array.from({ length: 20_000 }, (_, id) => id));
      expect(await readdir(tempDir)).toEqual([]);
    },
  );

  test('costs a chunk its row group and the end, and the disk no more than that', async () => {
    const object = (await store.stat(uri)) as ObjectInfo;
    const part = await fetchPart(object, { start: 5_000, end: 5_010 }, { store, tempDir });
    expect(part.firstRecord).toBe(2 * groupRows);
    expect(store.bytes).toBeLessThan((256 << 10) + object.size / 5);
    const { size, blocks } = await stat(part.path);
    expect(size).toBeGreaterThan(object.size / 2);
    expect(blocks * 512).toBeLessThan(object.size / 4);
    const [counted] = await query(
      `SELECT count(*)::INTEGER AS rows, min(id)::INTEGER AS first FROM ${literal(part.path)}`,
    );
    expect(counted).toEqual({ rows: groupRows, first: 2 * groupRows });
  });

  test('has its footer read whole when it is longer than what is read at first', async () => {
    const wide = 'gs://inputs/wide.parquet';
    const columns = Array.from({ length: 600 }, (_, i) => `range + ${i} AS a_column_with_a_long_name_number_${i}`);
    await write(wide, `SELECT ${columns.join(', ')} FROM range(10_000)`);
    const input = await plan(wide, 10_000);
    expect(input.records).toBe(10_000);
    expect(input.columns).toHaveLength(600);
    const [chunk] = input.chunks;
    const source = await openChunk({ input } as BatchPlan, chunk as (typeof input.chunks)[0], { store, tempDir });
    expect(await query(`SELECT count(*)::INTEGER AS rows FROM ${source.sql}`)).toEqual([{ rows: chunk?.records }]);
  });

  test.each<[why: string, content: Buffer]>([
    ['text', Buffer.from('a,b\n1,2\n')],
    ['nothing but magic', Buffer.from('PAR1PAR1')],
    [
      'a footer of zeros',
      Buffer.concat([Buffer.from('PAR1'), Buffer.alloc(20), Buffer.from([20, 0, 0, 0]), Buffer.from('PAR1')]),
    ],
    [
      'a footer longer than the file',
      Buffer.concat([Buffer.from('PAR1'), Buffer.from([255, 255, 0, 0]), Buffer.from('PAR1')]),
    ],
  ])('that is %s is refused', async (_, content) => {
    const broken = 'gs://inputs/broken.parquet';
    await writeFile(store.pathOf(broken), content);
    await expect(plan(broken)).rejects.toMatchObject({
      code: 'InvalidParquet',
      message: expect.stringContaining(`${broken} is not a readable Parquet file: `),
    });
  });
});

describe('chunks along row groups', () => {
  const limits = { chunkRows: 100, chunkBytes: 10_000, leastRecordBytes: 8 };
  test.each<[why: string, groups: RowGroup[], ends: number[]]>([
    ['small ones are put together', [group(30), group(30), group(30), group(30)], [90, 120]],
    ['one of four times as many rows stays whole', [group(400)], [400]],
    ['a larger one is cut into equal parts', [group(1_000)], [333, 666, 1_000]],
    ['one of more bytes than a chunk may have is cut', [group(100, 25_000)], [33, 66, 100]],
    ['empty ones are no chunk', [group(0), group(50), group(0), group(60)], [50, 110]],
    ['none make none', [], []],
  ])('%s', (why, groups, ends) => {
    const ranges = cutByRowGroups(groups, limits);
    expect({ why, ends: ranges.map(({ end }) => end) }).toEqual({ why, ends });
    expect(ranges.map(({ start }) => start)).toEqual([0, ...ends].slice(0, ranges.length));
  });

  test.each<[start: number, end: number, groups: [number, number], firstRecord: number]>([
    [0, 10, [0, 1], 0],
    [0, 11, [0, 2], 0],
    [10, 20, [1, 2], 10],
    [19, 21, [1, 4], 10],
    [20, 30, [3, 4], 20],
    [29, 30, [3, 4], 20],
  ])('records %d to %d are found in theirs', (start, end, [first, last], firstRecord) => {
    const groups = [group(10), group(10), group(0), group(10)];
    expect(groupsOf(groups, { start, end })).toEqual({ groups: { start: first, end: last }, firstRecord });
  });
});
