import type { Feature } from '../riskmodel/zz_generated.riskmodel.ts';

/** The largest magnitude a float32 holds; beyond it a value would reach the model as infinity. */
const largestFloat32 = 3.4028234663852886e38;

/** Why a value can't be scored. `type` is the word pydantic uses, which callers of the original service may know. */
export interface Problem {
  feature: string;
  type:
    | 'missing'
    | 'number_type'
    | 'bool_type'
    | 'int_type'
    | 'finite_number'
    | 'greater_than_equal'
    | 'less_than_equal'
    | 'enum';
  /** What is wrong, without the value: values belong to applicants. */
  message: string;
}

/** Numbers of the checks, so that the loop over a column stores one byte a finding. 0 is "fine". */
const finding = {
  fine: 0,
  missing: 1,
  notANumber: 2,
  notFinite: 3,
  notAnInteger: 4,
  tooSmall: 5,
  tooLarge: 6,
  notACode: 7,
} as const;

/** The numbers that a feature may be: whether whole ones only, and from which to which. */
export function boundsOf({ type, minimum, maximum }: Feature): { whole: boolean; minimum: number; maximum: number } {
  if (type === 'Boolean') return { whole: true, minimum: 0, maximum: 1 };
  const whole = type !== 'Number';
  // Beyond 2^53 a double no longer tells neighbouring integers apart, so such a number is not the one that was sent.
  const limit = whole ? Number.MAX_SAFE_INTEGER : largestFloat32;
  return { whole, minimum: Math.max(minimum ?? -limit, -limit), maximum: Math.min(maximum ?? limit, limit) };
}

/**
 * One feature of the manifest, compiled for checking. Online requests and batch columns pass through the same `check`,
 * so a value that one accepts, the other does too.
 */
class CompiledFeature {
  readonly name: string;
  readonly feature: Feature;
  readonly whole: boolean;
  readonly minimum: number;
  readonly maximum: number;
  readonly codes: ReadonlySet<number> | undefined;
  /** What stands in for a missing value; undefined when a missing value rejects the row. */
  readonly substitute: number | undefined;

  constructor(feature: Feature) {
    this.name = feature.name;
    this.feature = feature;
    ({ whole: this.whole, minimum: this.minimum, maximum: this.maximum } = boundsOf(feature));
    this.codes = feature.codes === undefined ? undefined : new Set(feature.codes);
    this.substitute =
      feature.whenMissing === 'NaN' ? Number.NaN : feature.whenMissing === 'Default' ? feature.default : undefined;
  }

  check(value: number): number {
    if (value >= this.minimum && value <= this.maximum) {
      if (this.whole && value !== Math.trunc(value)) return finding.notAnInteger;
      if (this.codes !== undefined && !this.codes.has(value)) return finding.notACode;
      return finding.fine;
    }
    if (!Number.isFinite(value)) return finding.notFinite;
    if (this.codes !== undefined) return finding.notACode;
    return value < this.minimum ? finding.tooSmall : finding.tooLarge;
  }

  problem(code: number): Problem {
    const feature = this.name;
    // Whatever is wrong with it, there are only two values to choose from.
    if (this.feature.type === 'Boolean' && code !== finding.missing) {
      return { feature, type: 'bool_type', message: 'must be true or false' };
    }
    switch (code) {
      case finding.missing:
        return { feature, type: 'missing', message: 'is missing' };
      case finding.notANumber:
        return { feature, type: 'number_type', message: this.whole ? 'must be an integer' : 'must be a number' };
      case finding.notFinite:
        return { feature, type: 'finite_number', message: 'must be a finite number' };
      case finding.notAnInteger:
        return { feature, type: 'int_type', message: 'must be an integer' };
      case finding.tooSmall:
        return { feature, type: 'greater_than_equal', message: `must be >= ${this.minimum}` };
      case finding.tooLarge:
        return { feature, type: 'less_than_equal', message: `must be <= ${this.maximum}` };
      default:
        return { feature, type: 'enum', message: `must be one of the codes ${[...(this.codes ?? [])].join(', ')}` };
    }
  }
}

/** A column of a batch: `rows` doubles. NaN is a value that is no number; a cleared bit in `valid` a missing one. */
export interface FeatureColumn {
  values: Float64Array;
  /** One bit a row, least significant first, as Arrow and DuckDB lay it out; undefined when no value is missing. */
  valid: Uint8Array | undefined;
}

/**
 * Turns records and columns into the float32 matrix `[rows, width]` (row-major) that the model takes, with the
 * manifest's ranges and rules for missing values. The rounding is always number (a double) -> float32.
 */
export class FeatureEncoder {
  readonly width: number;
  readonly names: readonly string[];
  readonly #features: readonly CompiledFeature[];

  constructor(features: readonly Feature[]) {
    this.#features = features.map((feature) => new CompiledFeature(feature));
    this.names = features.map((feature) => feature.name);
    this.width = features.length;
  }

  /**
   * Encodes one record, an object by feature name, as row `row` of `matrix`. Returns every problem found (the row is
   * then not fit for scoring), or undefined when there is none.
   */
  encodeRecord(record: Readonly<Record<string, unknown>>, matrix: Float32Array, row: number): Problem[] | undefined {
    let problems: Problem[] | undefined;
    let at = row * this.width;
    for (const feature of this.#features) {
      const code = this.#encodeValue(feature, record[feature.name], matrix, at++);
      if (code !== finding.fine) (problems ??= []).push(feature.problem(code));
    }
    return problems;
  }

  /**
   * As `encodeRecord`, from the `width` values at `from` (default 0) of an array in the manifest's order of features.
   * The array may be the matrix itself, whose values are then checked where they are.
   */
  encodeValues(values: ArrayLike<unknown>, matrix: Float32Array, row: number, from = 0): Problem[] | undefined {
    let problems: Problem[] | undefined;
    let at = row * this.width;
    let source = from;
    for (const feature of this.#features) {
      const code = this.#encodeValue(feature, values[source++], matrix, at++);
      if (code !== finding.fine) (problems ??= []).push(feature.problem(code));
    }
    return problems;
  }

  #encodeValue(feature: CompiledFeature, value: unknown, matrix: Float32Array, at: number): number {
    if (typeof value === 'number') {
      matrix[at] = value;
      return feature.check(value);
    }
    if (value === undefined || value === null) {
      if (feature.substitute === undefined) return finding.missing;
      matrix[at] = feature.substitute;
      return finding.fine;
    }
    if (typeof value === 'boolean' && feature.feature.type === 'Boolean') {
      matrix[at] = value ? 1 : 0;
      return finding.fine;
    }
    return finding.notANumber;
  }

  /**
   * Encodes `rows` rows given as one column a feature, from row `from` of `matrix` on. Every finding is reported to
   * `onProblem` with the row's number in these columns; such rows hold numbers that must not be used.
   */
  encodeColumns(
    columns: readonly FeatureColumn[],
    rows: number,
    matrix: Float32Array,
    from: number,
    onProblem: (row: number, problem: Problem) => void,
  ): void {
    const { width } = this;
    for (const [column, feature] of this.#features.entries()) {
      const { values, valid } = columns[column] as FeatureColumn;
      let at = from * width + column;
      for (let row = 0; row < rows; row++, at += width) {
        if (valid !== undefined && ((valid[row >> 3] as number) & (1 << (row & 7))) === 0) {
          if (feature.substitute === undefined) onProblem(row, feature.problem(finding.missing));
          else matrix[at] = feature.substitute;
          continue;
        }
        const value = values[row] as number;
        matrix[at] = value;
        const code = feature.check(value);
        // In a column NaN stands for text that is no number, so it is told apart from infinity here.
        if (code !== finding.fine) onProblem(row, feature.problem(Number.isNaN(value) ? finding.notANumber : code));
      }
    }
  }
}
