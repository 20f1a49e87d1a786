import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { linkIfAbsent } from '../storage/folder.ts';
import { openCurrent, type ObjectStore } from '../storage/object-store.ts';
import { addedColumns } from './added-columns.ts';
import { concatenateParquet } from './concatenate-parquet.ts';
import type { Column, Commit, Table, Warehouse } from './warehouse.ts';

/**
 * The warehouse of local mode: table T of dataset D is the Parquet files in `ROOT/D/T/`. A commit is one file, named by
 * the commit and linked into the folder when it is complete: whoever lists the folder sees all of its rows or none.
 */
export class ParquetWarehouse implements Warehouse {
  readonly #root: string;
  readonly #store: ObjectStore;

  constructor(root: string, { store }: { store: ObjectStore }) {
    this.#root = root;
    this.#store = store;
  }

  locate(table: Pick<Table, 'dataset' | 'name'>): string {
    return join(this.#root, table.dataset, table.name);
  }

  async prepare(table: Table): Promise<void> {
    const folder = join(this.locate(table), '_schema');
    for (;;) {
      const { version, columns } = await readSchema(folder);
      const added = addedColumns(table, columns);
      if (added.length === 0 || (await writeSchema(folder, version + 1, [...columns, ...added]))) return;
    }
  }

  async append(table: Table, stagedUris: string[], { id }: Commit): Promise<boolean> {
    const folder = this.locate(table);
    const target = join(folder, `${id}.parquet`);
    if (await exists(target)) return false;
    await mkdir(folder, { recursive: true });
    const copies = await Promise.all(stagedUris.map((uri) => openCurrent(uri, this.#store)));
    const draft = join(folder, `.${id}.${randomUUID()}.tmp`);
    try {
      await concatenateParquet(
        copies.map(({ path }) => path),
        draft,
      );
      return await linkIfAbsent(draft, target);
    } finally {
      await rm(draft, { force: true });
      await Promise.all(copies.map((copy) => copy.release()));
    }
  }
}

/** The columns of a table as its last version has them; version 0 is that of no table. */
async function readSchema(folder: string): Promise<{ version: number; columns: Column[] }> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const version = Math.max(0, ...names.map((name) => Number(/^(\d+)\.json$/.exec(name)?.[1] ?? 0)));
  if (version === 0) return { version, columns: [] };
  return { version, columns: JSON.parse(await readFile(schemaFile(folder, version), 'utf8')) as Column[] };
}

/** Writes a version that nobody has written yet: whether it did. Of those who add columns at once, all but one start over. */
async function writeSchema(folder: string, version: number, columns: Column[]): Promise<boolean> {
  await mkdir(folder, { recursive: true });
  const draft = join(folder, `.${randomUUID()}.tmp`);
  try {
    await writeFile(draft, JSON.stringify(columns, undefined, 1));
    return await linkIfAbsent(draft, schemaFile(folder, version));
  } finally {
    await rm(draft, { force: true });
  }
}

function schemaFile(folder: string, version: number): string {
  return join(folder, `${String(version).padStart(6, '0')}.json`);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
