import { identifier, literal } from '@riskmodel/core/columnar/engine.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ColumnType } from '@riskmodel/core/warehouse/warehouse.ts';
import type { BatchPlan, InputColumn } from '../plan.ts';

const duckdbTypes: Record<ColumnType, string> = {
  STRING: 'VARCHAR',
  INT64: 'BIGINT',
  FLOAT64: 'DOUBLE',
  BOOL: 'BOOLEAN',
  TIMESTAMP: 'TIMESTAMP WITH TIME ZONE',
  DATETIME: 'TIMESTAMP',
  DATE: 'DATE',
};

/** Types whose every value a DOUBLE holds, or is refused: as they are, they need no conversion on the way in and out. */
const wholeTypes = new Set(['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'UTINYINT', 'USMALLINT', 'UINTEGER']);

export type IsNumber = (column: InputColumn) => boolean;

/** Whether a column of a text format has numbers alone: of the others, `true` and `false` are values. */
export function hasNumbersAlone({ role, type }: InputColumn): boolean {
  return role === 'feature' && type !== 'BOOL';
}

/**
 * The columns of the working table: features and target as DOUBLE, where NULL is a missing value and NaN a value that
 * is no number, or as the integers that the input has; the rest as they will be written.
 * @param isNumber which columns of a text format were read as numbers already
 */
export function workingColumns(columns: readonly InputColumn[], isNumber: IsNumber = () => false): string {
  return columns
    .map((column) => {
      const name = identifier(column.name);
      return `${isNumber(column) ? name : workingValue(column)} AS ${name}`;
    })
    .join(', ');
}

function workingValue(column: InputColumn): string {
  const { name, type, role, sourceType } = column;
  const value = identifier(name);
  if (role === 'identifier' || role === 'other')
    return sourceType === duckdbTypes[type] ? value : `CAST(${value} AS ${duckdbTypes[type]})`;
  if (sourceType === undefined || sourceType === 'VARCHAR')
    return numberInText(value, type === 'BOOL' || role === 'target');
  if (wholeTypes.has(sourceType)) return value;
  if (sourceType === 'BOOLEAN') return `CAST(CAST(${value} AS INTEGER) AS DOUBLE)`;
  // Data frames write a missing float as NaN.
  if (sourceType === 'FLOAT' || sourceType === 'DOUBLE') return `nullif(CAST(${value} AS DOUBLE), 'NaN'::DOUBLE)`;
  return `CAST(${value} AS DOUBLE)`;
}

function numberInText(value: string, mayBeBoolean: boolean): string {
  const number = `coalesce(TRY_CAST(${value} AS DOUBLE), CASE WHEN ${value} IS NOT NULL THEN 'NaN'::DOUBLE END)`;
  return mayBeBoolean ? `CASE lower(${value}) WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 ELSE ${number} END` : number;
}

/** The features in the model's order, then the target, each a DOUBLE; a column that the input lacks is all missing. */
export function modelColumns(manifest: RiskModel, columns: readonly InputColumn[]): string {
  const present = new Set(columns.map(({ name }) => name));
  const { features, target } = manifest.spec;
  return [...features.map(({ name }) => name), target]
    .map((name) => (name !== undefined && present.has(name) ? `CAST(${identifier(name)} AS DOUBLE)` : 'NULL::DOUBLE'))
    .join(', ');
}

/** The columns of the results table, over the working table `r` and the scores `s`. */
export function writtenColumns(plan: BatchPlan, batchId: string): string {
  const inputs = plan.columns.map((column) => {
    const name = identifier(column.name);
    const isNumber = column.role === 'feature' || column.role === 'target';
    if (!isNumber) return `r.${name}`;
    if (column.type === 'FLOAT64') return `CAST(r.${name} AS DOUBLE) AS ${name}`;
    const whole = `CAST(r.${name} AS BIGINT)`;
    return `${column.type === 'BOOL' ? `CAST(${whole} AS BOOLEAN)` : whole} AS ${name}`;
  });
  return [
    ...inputs,
    's.prob_0',
    's.prob_1',
    `${timestamp(plan.predDatetime)} AS pred_datetime`,
    `CAST(s.prob_1 > ${double(plan.manifest.spec.decision.threshold)} AS BIGINT) AS decision`,
    'CAST(s.record_index AS BIGINT) AS record_index',
    `${constant(batchId)} AS batch_id`,
    `${constant(plan.manifest.metadata.name)} AS model`,
    `${constant(plan.modelVersion)} AS model_version`,
    `${constant(plan.modelSha256)} AS model_sha256`,
  ].join(', ');
}

/** A text that all rows have. In Parquet it is a text as any other; of an ENUM its writer knows the dictionary beforehand. */
function constant(text: string): string {
  return `${literal(text)}::ENUM(${literal(text)})`;
}

/** A moment as Parquet writes it for BigQuery's TIMESTAMP: microseconds, marked as UTC. */
export function timestamp(iso: string): string {
  return `TIMESTAMPTZ ${literal(iso)}`;
}

/** A double to the last bit; a bare number would be a DECIMAL to SQL. */
export function double(value: number): string {
  return `'${value}'::DOUBLE`;
}
