import { boundsOf } from '../model/features.ts';
import type { Feature, RiskModel } from '../riskmodel/zz_generated.riskmodel.ts';
import { resultColumns } from './tables.ts';
import type { Column } from './warehouse.ts';

/** A column of the table that is scored. */
export interface SourceTableColumn extends Column {
  /** BigQuery's type in the table that is scored; `type` is the one in the results. */
  sourceType: string;
  role: 'feature' | 'identifier' | 'target' | 'other';
}

/** Everything that decides what BigQuery scores and writes. Tables and models are `project.dataset.name`. */
export interface WarehouseScoring {
  manifest: RiskModel;
  batchId: string;
  modelVersion: string;
  modelSha256: string;
  /** `pred_datetime`, and the moment as of which the table is read: all statements of a batch see the same rows. */
  predDatetime: string;
  source: string;
  columns: readonly SourceTableColumn[];
  results: string;
  /** The imported model, and the names of its input and of its output with the probabilities. */
  model: string;
  inputName: string;
  outputName: string;
}

/**
 * Imports an ONNX file as a model of BigQuery. The name is to be made of the content, so that a model which is there is
 * the right one.
 *
 * https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-create-onnx
 */
export function createModelSql(model: string, artifactUri: string): string {
  return `CREATE MODEL IF NOT EXISTS ${quoted(model)} OPTIONS (MODEL_TYPE = 'ONNX', MODEL_PATH = ${text(artifactUri)})`;
}

/** Counts the rows: `total`, and `accepted`, which is those that fit the schema. */
export function countRowsSql(scoring: WarehouseScoring): string {
  return `SELECT COUNT(*) AS total, COUNTIF(${condition(scoring)}) AS accepted FROM ${snapshot(scoring)}`;
}

/**
 * Scores the rows that fit the schema into the results. A row travels through ML.PREDICT as one value, so that none of
 * its columns can have the name of the model's input or output. The rows of a table have no order, and so no
 * `record_index`.
 */
export function scoreRowsSql(scoring: WarehouseScoring): string {
  const { manifest, columns, results, model, inputName, outputName } = scoring;
  const probability = (index: number): string => `p.${quoted(outputName)}[OFFSET(${index})]`;
  const values: Record<string, string> = {
    prob_0: probability(0),
    prob_1: probability(1),
    pred_datetime: timestamp(scoring.predDatetime),
    decision: `CAST(${probability(1)} > ${double(manifest.spec.decision.threshold)} AS INT64)`,
    record_index: 'CAST(NULL AS INT64)',
    batch_id: text(scoring.batchId),
    model: text(manifest.metadata.name),
    model_version: text(scoring.modelVersion),
    model_sha256: text(scoring.modelSha256),
  };
  const written = [
    ...columns.map((column) => ({ name: column.name, value: writtenValue(column, 'p.riskmodel_row') })),
    ...resultColumns.map(({ name }) => ({ name, value: values[name] as string })),
  ];
  const features = manifest.spec.features.map((feature) => modelValue(feature, columns));
  return [
    `INSERT INTO ${quoted(results)} (${written.map(({ name }) => quoted(name)).join(', ')})`,
    `SELECT ${written.map(({ value }) => value).join(', ')}`,
    `FROM ML.PREDICT(MODEL ${quoted(model)}, (`,
    `  SELECT r AS riskmodel_row, [${features.join(', ')}] AS ${quoted(inputName)}`,
    `  FROM ${snapshot(scoring)} WHERE ${condition(scoring)})) AS p`,
  ].join('\n');
}

/** Counts a batch's rows with an outcome by true and decided class: `outcome`, `decision`, `n`. */
export function countOutcomesSql({ results, batchId, predDatetime, manifest }: WarehouseScoring): string {
  const target = quoted(manifest.spec.target ?? '');
  return (
    `SELECT ${target} AS outcome, decision, COUNT(*) AS n FROM ${quoted(results)} ` +
    `WHERE pred_datetime = ${timestamp(predDatetime)} AND batch_id = ${text(batchId)} AND ${target} IS NOT NULL ` +
    'GROUP BY outcome, decision'
  );
}

function snapshot({ source, predDatetime }: WarehouseScoring): string {
  return `${quoted(source)} AS r FOR SYSTEM_TIME AS OF ${timestamp(predDatetime)}`;
}

/** Whether a row fits the schema: the checks that online requests pass through as well. */
function condition({ manifest, columns }: WarehouseScoring): string {
  const { features, target } = manifest.spec;
  const conditions = features.flatMap((feature) => {
    const column = columns.find(({ name }) => name === feature.name);
    return column === undefined ? [] : [isAccepted(feature, numberOf(column, 'r'))];
  });
  const outcome = columns.find(({ name }) => name === target);
  if (outcome !== undefined) conditions.push(`IFNULL(${numberOf(outcome, 'r')} IN (0, 1), TRUE)`);
  return conditions.join(' AND ');
}

function isAccepted(feature: Feature, number: string): string {
  const { whole, minimum, maximum } = boundsOf(feature);
  const checks = [
    `${number} BETWEEN ${double(minimum)} AND ${double(maximum)}`,
    ...(whole ? [`${number} = TRUNC(${number})`] : []),
    ...(feature.codes === undefined ? [] : [`${number} IN (${feature.codes.map(double).join(', ')})`]),
  ];
  return `IFNULL(${checks.join(' AND ')}, ${feature.whenMissing === 'Reject' ? 'FALSE' : 'TRUE'})`;
}

/** What the model gets for a feature; a column that the table lacks is all missing. */
function modelValue(feature: Feature, columns: readonly SourceTableColumn[]): string {
  const column = columns.find(({ name }) => name === feature.name);
  const number = column === undefined ? 'CAST(NULL AS FLOAT64)' : numberOf(column, 'r');
  if (feature.whenMissing === 'NaN') return `IFNULL(${number}, ${double(Number.NaN)})`;
  if (feature.whenMissing === 'Default') return `IFNULL(${number}, ${double(feature.default ?? Number.NaN)})`;
  return number;
}

/** A column's value as FLOAT64; NULL when it is missing, which data frames write as NaN. */
function numberOf({ name, sourceType }: SourceTableColumn, row: string): string {
  const value = `${row}.${quoted(name)}`;
  if (sourceType === 'BOOL') return `CAST(CAST(${value} AS INT64) AS FLOAT64)`;
  if (sourceType === 'FLOAT64') return `IF(IS_NAN(${value}), NULL, ${value})`;
  return `CAST(${value} AS FLOAT64)`;
}

function writtenValue(column: SourceTableColumn, row: string): string {
  const { name, type, sourceType, role } = column;
  const value = `${row}.${quoted(name)}`;
  if (role === 'feature' || role === 'target') {
    const number = numberOf(column, row);
    if (type === 'FLOAT64') return number;
    const whole = `CAST(${number} AS INT64)`;
    return type === 'BOOL' ? `CAST(${whole} AS BOOL)` : whole;
  }
  if (sourceType === type) return value;
  return type === 'STRING' && !castable.has(sourceType) ? `TO_JSON_STRING(${value})` : `CAST(${value} AS ${type})`;
}

/** Types that BigQuery casts to STRING. */
const castable = new Set([
  'INT64',
  'FLOAT64',
  'NUMERIC',
  'BIGNUMERIC',
  'BOOL',
  'BYTES',
  'DATE',
  'DATETIME',
  'TIME',
  'TIMESTAMP',
]);

/** A name, or a path of names, as BigQuery's SQL takes it. */
function quoted(path: string): string {
  return `\`${path.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

function text(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n').replaceAll('\r', '\\r')}'`;
}

function timestamp(iso: string): string {
  return `TIMESTAMP ${text(iso)}`;
}

/** A double to the last bit; a bare number could be an INT64 or a NUMERIC. */
function double(value: number): string {
  return `CAST('${value}' AS FLOAT64)`;
}
