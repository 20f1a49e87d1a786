/** BigQuery's names of the column types we write. A TIMESTAMP is a moment, a DATETIME what a clock somewhere shows. */
export type ColumnType = 'STRING' | 'INT64' | 'FLOAT64' | 'BOOL' | 'TIMESTAMP' | 'DATETIME' | 'DATE';

export interface Column {
  name: string;
  type: ColumnType;
}

export interface Table {
  dataset: string;
  name: string;
  columns: Column[];
  /** How a warehouse that can do so lays the rows out, so that a query reads no more than it asks for. */
  layout?: { partitionByDayOf: string; clusterBy: string[] };
}

/** What one append is called, and whose it is. */
export interface Commit {
  /** Names the append: of all that have the same one, one lands in a table. */
  id: string;
  /** The model that made the rows. */
  model: string;
}

/**
 * Tables to which a batch is appended once. A warehouse never shows a part of a commit: after a crash at any point the
 * same commit is simply made again, and lands once.
 */
export interface Warehouse {
  /**
   * Checks, before any scoring, that rows with these columns can be appended; makes the table when there is none.
   * Throws `TableTypeConflict`, naming column and types, when a column exists with another type.
   *
   * @param objects how many staged objects an append may have; more than the warehouse takes at once is `TooManyChunks`
   */
  prepare(table: Table, objects?: number): Promise<void>;
  /**
   * Appends the rows of the staged Parquet objects (URIs of the store it was made with), all or none, to a table that
   * was prepared. There is one object at least, and all have the same columns in the same order. Made again with the
   * same `commit.id`, it changes nothing and reports `false`.
   */
  append(table: Table, stagedUris: string[], commit: Commit): Promise<boolean>;
  /** Where people find the table: a path or `project.dataset.table`. */
  locate(table: Pick<Table, 'dataset' | 'name'>): string;
}
