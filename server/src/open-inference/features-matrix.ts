import type { FeatureEncoder } from '@riskmodel/core/model/features.ts';
import { HttpError } from '../http/http-error.ts';
import { checkInstanceCount, InstanceProblems } from '../http/instance-problems.ts';
import type { InputTensor } from './tensor.ts';

/** Rows that are fit for scoring: float32, row-major. */
export interface FeatureMatrix {
  matrix: Float32Array;
  rows: number;
}

/** What requests are encoded by, and a row that one may be encoded in that has no more. */
export interface EncodingTarget {
  encoder: FeatureEncoder;
  row: Float32Array;
}

/**
 * Checks and encodes the inputs of a request: one tensor `[N, features]` of any name, or one of `[N]` or `[N, 1]` for
 * each feature, named by it. A NaN of a floating-point tensor, and a null in JSON, is a missing value.
 *
 * @throws HttpError 400 with the first problems of the values; 413 for too many rows
 */
export function encodeTensors(inputs: readonly InputTensor[], target: EncodingTarget): FeatureMatrix {
  const { encoder } = target;
  const [first] = inputs;
  if (first === undefined) throw new HttpError(400, 'inputs: must hold at least one tensor');
  if (inputs.length === 1 && first.shape.length === 2 && first.shape[1] === encoder.width) {
    return encodeMatrix(first, target);
  }
  if (inputs.length === 1 && !encoder.names.includes(first.name)) {
    throw new HttpError(
      400,
      `inputs[0].shape: is [${first.shape.join(', ')}]; expected [N, ${encoder.width}], or one tensor for each feature, named by it`,
    );
  }
  return encodeColumns(inputs, target);
}

function encodeMatrix(input: InputTensor, { encoder, row: spare }: EncodingTarget): FeatureMatrix {
  const rows = input.shape[0] as number;
  checkInstanceCount(rows);
  const { names, width } = encoder;
  const problems = new InstanceProblems();
  reportOutOfRange(input, (index) => [Math.floor(index / width), names[index % width] as string], problems);
  const values = encodable(input);
  // Float32 data is checked where it is and goes to the model without another copy.
  const matrix = input.elements instanceof Float32Array ? input.elements : emptyMatrix(rows, width, spare);
  for (let row = 0; row < rows; row++) problems.add(row, encoder.encodeValues(values, matrix, row, row * width));
  problems.throwIfAny();
  return { matrix, rows };
}

function encodeColumns(inputs: readonly InputTensor[], { encoder, row: spare }: EncodingTarget): FeatureMatrix {
  const { names, width } = encoder;
  const byName = columnsByName(inputs, names);
  const rows = inputs[0]?.shape[0] as number;
  const different = inputs.findIndex(({ shape }) => shape[0] !== rows);
  if (different !== -1) {
    throw new HttpError(400, `inputs[${different}].shape: must have as many rows as inputs[0], ${rows}`);
  }
  checkInstanceCount(rows);

  const problems = new InstanceProblems();
  for (const input of inputs) reportOutOfRange(input, (row) => [row, input.name], problems);
  const columns = names.map((name) => {
    const input = byName.get(name);
    return input === undefined ? [] : encodable(input);
  });
  const matrix = emptyMatrix(rows, width, spare);
  const values: unknown[] = Array.from({ length: width });
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) values[column] = columns[column]?.[row];
    problems.add(row, encoder.encodeValues(values, matrix, row));
  }
  problems.throwIfAny();
  return { matrix, rows };
}

/** Memory outside of V8's heap, as that of every array of more than 16 floats, costs a small request dearly. */
function emptyMatrix(rows: number, width: number, spare: Float32Array): Float32Array {
  return rows === 1 ? spare : new Float32Array(rows * width);
}

function columnsByName(inputs: readonly InputTensor[], names: readonly string[]): Map<string, InputTensor> {
  const byName = new Map<string, InputTensor>();
  for (const [index, input] of inputs.entries()) {
    const { name, shape } = input;
    if (!names.includes(name)) throw new HttpError(400, `inputs[${index}].name: "${name}" is no feature of the model`);
    if (byName.has(name)) throw new HttpError(400, `inputs[${index}].name: "${name}" is given twice`);
    if (shape.length !== 1 && !(shape.length === 2 && shape[1] === 1)) {
      throw new HttpError(400, `inputs[${index}].shape: is [${shape.join(', ')}]; expected [N] or [N, 1]`);
    }
    byName.set(name, input);
  }
  return byName;
}

/** The elements as the encoder takes them: numbers, null for a missing one, and what else the client sent as it is. */
function encodable({ elements, datatype }: InputTensor): ArrayLike<unknown> {
  switch (datatype.name) {
    case 'BOOL':
    case 'INT64':
    case 'UINT64':
      return Array.from(elements, (value) =>
        typeof value === 'bigint' || typeof value === 'boolean' ? Number(value) : value,
      );
    case 'FP32':
    case 'FP64':
      // JSON has no NaN, so only binary elements can hold one.
      if (Array.isArray(elements) || !Array.prototype.some.call(elements, Number.isNaN)) return elements;
      return Array.from(elements, (value) => (Number.isNaN(value) ? null : value));
    default:
      return elements;
  }
}

/** Reports the JSON numbers that their datatype can't hold; binary ones can't be anything else. */
function reportOutOfRange(
  { elements, datatype: { name, range } }: InputTensor,
  locate: (index: number) => [row: number, feature: string],
  problems: InstanceProblems,
): void {
  if (range === undefined || !Array.isArray(elements)) return;
  for (const [index, value] of elements.entries()) {
    if (typeof value !== 'number') continue;
    if (Number.isInteger(value) && value >= range.minimum && value <= range.maximum) continue;
    const [row, feature] = locate(index);
    problems.addText(row, `${feature}: is no ${name}`);
  }
}
