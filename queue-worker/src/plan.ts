import { createHash } from 'node:crypto';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { Feature, RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { resultColumns } from '@riskmodel/core/warehouse/tables.ts';
import type { Column, ColumnType } from '@riskmodel/core/warehouse/warehouse.ts';
import type { InputPlan, SourceColumn } from './input/plan-input.ts';

/**
 * All that decides what a batch writes, fixed once when it is planned: whoever scores a chunk of it, however often,
 * comes to the same rows.
 */
export interface BatchPlan {
  /** The manifest as it was then, its artifact pinned by sha256. */
  manifest: RiskModel;
  /** What becomes of the rows; absent: they are scored. */
  action?: 'LoadFeatures';
  modelVersion: string;
  modelSha256: string;
  input: InputPlan;
  /** The input's columns in the order and with the types they are written. */
  columns: InputColumn[];
  /** `pred_datetime` of every row. */
  predDatetime: string;
  /** Where chunks are staged: names of what this plan makes, and no other plan. */
  stagingUri: string;
  /** The table that the warehouse scores itself; then there are no chunks. */
  table?: TablePlan;
}

/** A table that does not leave the warehouse. */
export interface TablePlan {
  /** `project.dataset.table` */
  path: string;
  /** The warehouse's types of the plan's columns. */
  sourceTypes: string[];
  /** Rows that fit the schema. */
  accepted: number;
  /** The name of the imported model, and where it is imported from. */
  model: string;
  artifactUri: string;
  inputName: string;
  outputName: string;
}

export type ColumnRole = 'feature' | 'identifier' | 'target' | 'other';

export interface InputColumn extends Column {
  role: ColumnRole;
  /** DuckDB's type in the source; undefined for text formats. */
  sourceType?: string;
}

/**
 * Matches the input's columns with the manifest.
 *
 * @throws RiskModelError `MissingColumns`, `ReservedColumn`, `UnsupportedColumnType`
 */
export function matchColumns(manifest: RiskModel, source: readonly SourceColumn[]): InputColumn[] {
  const { features, identifier, target } = manifest.spec;
  const byName = new Map(features.map((feature) => [feature.name, feature]));
  checkNothingMissing(features, source);
  checkIdentifier(manifest, source);
  const reserved = new Set(resultColumns.map(({ name }) => name.toLowerCase()));
  return source.map(({ name, type }) => {
    if (reserved.has(name.toLowerCase())) {
      throw new RiskModelError(
        'ReservedColumn',
        `the input's column "${name}" has the name of a result column: rename it`,
      );
    }
    const sourceType = type === undefined ? {} : { sourceType: type };
    checkSpelling(name, [...byName.keys(), identifier, target]);
    const feature = byName.get(name);
    if (feature !== undefined) {
      checkReadable(name, type);
      return { name, type: featureColumnType(feature), role: 'feature' as const, ...sourceType };
    }
    if (name === identifier) return { name, type: 'STRING' as const, role: 'identifier' as const, ...sourceType };
    if (name === target) {
      checkReadable(name, type);
      return { name, type: 'INT64' as const, role: 'target' as const, ...sourceType };
    }
    return { name, type: otherColumnType(type), role: 'other' as const, ...sourceType };
  });
}

/**
 * Matches the input's columns with the features that are to be loaded: some of them are enough. The others are read
 * over.
 *
 * @throws RiskModelError `MissingColumns`, `MisspelledColumn`, `UnsupportedColumnType`
 */
export function matchFeatureColumns({ spec }: RiskModel, source: readonly SourceColumn[]): InputColumn[] {
  const { features, identifier } = spec;
  const byName = new Map(features.map((feature) => [feature.name, feature]));
  const columns = source.map(({ name, type }): InputColumn => {
    const sourceType = type === undefined ? {} : { sourceType: type };
    checkSpelling(name, [...byName.keys(), identifier]);
    const feature = byName.get(name);
    if (feature === undefined) {
      return { name, type: 'STRING', role: name === identifier ? 'identifier' : 'other', ...sourceType };
    }
    checkReadable(name, type);
    return { name, type: featureColumnType(feature), role: 'feature', ...sourceType };
  });
  for (const [role, what] of [
    ['identifier', `the identifier's column ${identifier}`],
    ['feature', 'the column of any feature'],
  ] as const) {
    if (!columns.some((column) => column.role === role)) {
      throw new RiskModelError('MissingColumns', `the input lacks ${what}: there are no features to load`);
    }
  }
  return columns;
}

function checkNothingMissing(features: readonly Feature[], source: readonly SourceColumn[]): void {
  const names = new Set(source.map(({ name }) => name));
  const missing = features.filter(({ name, whenMissing }) => whenMissing === 'Reject' && !names.has(name));
  const [first] = missing;
  if (first === undefined) return;
  const similar = source.find(({ name }) => name.toLowerCase() === first.name.toLowerCase());
  throw new RiskModelError(
    'MissingColumns',
    `the input lacks the column${missing.length > 1 ? 's' : ''} ${missing.map(({ name }) => name).join(', ')}, which the model needs` +
      (similar === undefined ? '' : ` (it has "${similar.name}": names are case-sensitive)`),
  );
}

/** Without identifiers there would be nothing to look predictions up by. */
function checkIdentifier({ spec }: RiskModel, source: readonly SourceColumn[]): void {
  if (spec.batch.lookup === undefined || source.some(({ name }) => name === spec.identifier)) return;
  throw new RiskModelError(
    'MissingColumns',
    `the input lacks the identifier's column ${spec.identifier}, by which predictions are to be looked up (spec.batch.lookup)`,
  );
}

/** A column that differs from a known one in case only would pass through, and the known one would be missing. */
function checkSpelling(name: string, known: readonly (string | undefined)[]): void {
  if (known.includes(name)) return;
  const meant = known.find((candidate) => candidate?.toLowerCase() === name.toLowerCase());
  if (meant === undefined) return;
  throw new RiskModelError(
    'MisspelledColumn',
    `the input's column "${name}" is "${meant}" in the manifest: names are case-sensitive, so rename one of them`,
  );
}

/** Types of Parquet columns that hold a number, or a text that may be one. */
const readable = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\)|BOOLEAN|VARCHAR)$/;

function checkReadable(name: string, type: string | undefined): void {
  if (type === undefined || readable.test(type)) return;
  throw new RiskModelError(
    'UnsupportedColumnType',
    `the input's column "${name}" has the type ${type}; it must hold numbers`,
  );
}

function featureColumnType(feature: Feature): ColumnType {
  switch (feature.type) {
    case 'Integer':
    case 'Categorical':
      return 'INT64';
    case 'Number':
      return 'FLOAT64';
    case 'Boolean':
      return 'BOOL';
  }
}

/** A column that only passes through keeps its type where a warehouse has it, and is text otherwise. */
function otherColumnType(type: string | undefined): ColumnType {
  if (type === undefined) return 'STRING';
  if (/^(TINYINT|SMALLINT|INTEGER|BIGINT|UTINYINT|USMALLINT|UINTEGER)$/.test(type)) return 'INT64';
  if (/^(FLOAT|DOUBLE|DECIMAL\(.*\))$/.test(type)) return 'FLOAT64';
  if (type === 'BOOLEAN') return 'BOOL';
  if (type === 'DATE') return 'DATE';
  if (type === 'TIMESTAMP WITH TIME ZONE') return 'TIMESTAMP';
  if (type.startsWith('TIMESTAMP')) return 'DATETIME';
  return 'STRING';
}

/** A short name of everything that decides a batch's rows. */
export function fingerprint(...parts: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}
