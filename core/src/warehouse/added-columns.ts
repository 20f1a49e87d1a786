import { RiskModelError } from '../errors.ts';
import type { Column, Table } from './warehouse.ts';

/** A column as a table has it, of whatever type its warehouse knows. */
export interface ExistingColumn {
  name: string;
  type: string;
}

/**
 * The columns that are new to a table which has those of `known`. No two columns of a warehouse differ in case only.
 *
 * @throws RiskModelError `TableTypeConflict` when a column exists with another type
 */
export function addedColumns(table: Table, known: readonly ExistingColumn[]): Column[] {
  const byName = new Map(known.map((column) => [column.name.toLowerCase(), column]));
  return table.columns.filter((column) => {
    const existing = byName.get(column.name.toLowerCase());
    if (existing === undefined) return true;
    if (existing.type !== column.type || existing.name !== column.name) throw typeConflict(table, column, existing);
    return false;
  });
}

function typeConflict(table: Table, column: Column, existing: ExistingColumn): RiskModelError {
  return new RiskModelError(
    'TableTypeConflict',
    `column ${column.name} would be ${column.type}, but table ${table.dataset}.${table.name} has ${existing.name} as ${existing.type}: a column that the manifest names (as a feature, identifier or target) has a type of its own, which it had not before it was named; rename the input's column, or use another dataset (spec.batch.output.dataset)`,
  );
}
