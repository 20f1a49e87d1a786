import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RiskModelError } from '../errors.ts';
import { literal, type Engine } from '../columnar/engine.ts';
import { linkIfAbsent } from '../storage/folder.ts';
import { objectNotFound, type LocalCopy, type ObjectStore } from '../storage/object-store.ts';
import type { Column, Table, Warehouse } from './warehouse.ts';

/**
 * The warehouse of local mode: table T of dataset D is the Parquet files in `ROOT/D/T/`. A commit is one file, named by
 * the commit and linked into the folder when it is complete: whoever lists the folder sees all of its rows or none.
 */
export class ParquetWarehouse implements Warehouse {
  readonly #root: string;
  readonly #store: ObjectStore;
  readonly #engine: Engine;

  constructor(root: string, { store, engine }: { store: ObjectStore; engine: Engine }) {
    this.#root = root;
    this.#store = store;
    this.#engine = engine;
  }

  locate(table: Pick<Table, 'dataset' | 'name'>): string {
    return join(this.#root, table.dataset, table.name);
  }

  async prepare(table: Table): Promise<void> {
    const folder = this.locate(table);
    const file = join(folder, '_schema.json');
    const known = await readSchema(file);
    const types = new Map(known.map((column) => [column.name.toLowerCase(), column]));
    const added: Column[] = [];
    for (const column of table.columns) {
      const existing = types.get(column.name.toLowerCase());
      if (existing === undefined) added.push(column);
      else if (existing.type !== column.type || existing.name !== column.name)
        throw typeConflict(table, column, existing);
    }
    if (added.length === 0) return;
    await mkdir(folder, { recursive: true });
    const draft = `${file}.${randomUUID()}.tmp`;
    await writeFile(draft, JSON.stringify([...known, ...added], undefined, 1));
    await rename(draft, file);
  }

  async append(table: Table, stagedUris: string[], commitId: string): Promise<boolean> {
    const folder = this.locate(table);
    const target = join(folder, `${commitId}.parquet`);
    if (await exists(target)) return false;
    await mkdir(folder, { recursive: true });
    const copies = await this.#openAll(stagedUris);
    const draft = join(folder, `.${commitId}.${randomUUID()}.tmp`);
    try {
      const files = copies.map(({ path }) => literal(path)).join(', ');
      await this.#engine.use((connection) =>
        connection.run(`COPY (FROM read_parquet([${files}])) TO ${literal(draft)} (FORMAT parquet)`),
      );
      return await linkIfAbsent(draft, target);
    } finally {
      await rm(draft, { force: true });
      await Promise.all(copies.map((copy) => copy.release()));
    }
  }

  #openAll(uris: string[]): Promise<LocalCopy[]> {
    return Promise.all(
      uris.map(async (uri) => {
        const object = await this.#store.stat(uri);
        if (object === undefined) throw objectNotFound(uri);
        return this.#store.openLocal(object);
      }),
    );
  }
}

async function readSchema(file: string): Promise<Column[]> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Column[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function typeConflict(table: Table, column: Column, existing: Column): RiskModelError {
  return new RiskModelError(
    'TableTypeConflict',
    `column ${column.name} would be ${column.type}, but table ${table.dataset}.${table.name} has ${existing.name} as ${existing.type}: rename the input's column, or use another dataset (spec.batch.output.dataset)`,
  );
}
