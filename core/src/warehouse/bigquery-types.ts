/** A column as BigQuery's API describes it. */
export interface FieldResource {
  name: string;
  type: string;
  mode?: string;
}

/** The names of types that the API had before SQL's. */
const sqlNames: Record<string, string> = { INTEGER: 'INT64', FLOAT: 'FLOAT64', BOOLEAN: 'BOOL', RECORD: 'STRUCT' };

/** The type of a column by SQL's names, such as INT64 or ARRAY<STRING>. */
export function sqlTypeOf({ type, mode }: FieldResource): string {
  const name = sqlNames[type] ?? type;
  return mode === 'REPEATED' ? `ARRAY<${name}>` : name;
}
