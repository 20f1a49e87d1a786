import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';

export interface EngineOptions {
  /** Threads that DuckDB works with. */
  threads: number;
  /** Bytes that DuckDB holds in memory before it spills to `tempDir`. */
  memoryLimit: number;
  tempDir: string;
}

/**
 * An in-memory DuckDB that reads and writes the columnar files of batches. Each piece of work takes a connection of
 * its own, whose temporary tables nobody else sees.
 */
export class Engine {
  readonly #instance: DuckDBInstance;

  private constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  static async open({ threads, memoryLimit, tempDir }: EngineOptions): Promise<Engine> {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: String(threads),
      memory_limit: `${Math.floor(memoryLimit / 1e6)}MB`,
      temp_directory: tempDir,
      // Rows leave in the order in which they came: the n-th score belongs to the n-th row.
      preserve_insertion_order: 'true',
      // What is read of a file is read once.
      enable_external_file_cache: 'false',
      // Nothing is fetched at run time: what DuckDB needs here is built in.
      autoinstall_known_extensions: 'false',
    });
    return new Engine(instance);
  }

  /** Runs `work` on a connection of its own and closes it, with its temporary tables, whatever happens. */
  async use<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    const connection = await this.#instance.connect();
    try {
      return await work(connection);
    } finally {
      connection.closeSync();
    }
  }

  close(): void {
    this.#instance.closeSync();
  }
}

/** A name as SQL takes it, whatever characters it has. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text literal of SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
