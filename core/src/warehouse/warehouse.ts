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
}

/**
 * Tables to which a batch is appended once. A warehouse never shows a part of a commit: after a crash at any point the
 * same commit is simply made again, and lands once.
 */
export interface Warehouse {
  /**
   * Checks, before any scoring, that rows with these columns can be appended; makes the table when there is none.
   * Throws `TableTypeConflict`, naming column and types, when a column exists with another type.
   */
  prepare(table: Table): Promise<void>;
  /**
   * Appends the rows of the staged Parquet objects (URIs of the store it was made with), all or none. There is one at
   * least, and all have the same columns in the same order. `commitId` names the append: made again with the same one,
   * it changes nothing and reports `false`.
   */
  append(table: Table, stagedUris: string[], commitId: string): Promise<boolean>;
  /** Where people find the table: a path or `project.dataset.table`. */
  locate(table: Pick<Table, 'dataset' | 'name'>): string;
}
