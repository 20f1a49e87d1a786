import { HttpError, isObject } from '../http/http-error.ts';
import { datatypeNames, findDatatype, type Datatype } from './datatype.ts';

/** An input tensor of a request, its elements not yet checked. */
export interface InputTensor {
  name: string;
  shape: readonly number[];
  datatype: Datatype;
  /** Row-major: `shape`'s product of elements. From JSON they are whatever the client sent. */
  elements: ArrayLike<unknown>;
}

/** The bytes after the JSON of a request, handed out tensor by tensor. */
export class BinaryPart {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(size: number): Uint8Array | undefined {
    if (this.#at + size > this.#bytes.length) return undefined;
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }
}

/**
 * Reads one entry of a request's `inputs`.
 *
 * @param path what to call it in messages, such as `inputs[0]`
 * @returns undefined for a tensor that `ignore` names, whose bytes are skipped
 * @throws HttpError 400
 */
export function readTensor(
  input: unknown,
  path: string,
  binary: BinaryPart,
  ignore: ReadonlySet<string>,
): InputTensor | undefined {
  if (!isObject(input)) throw new HttpError(400, `${path}: must be an object`);
  const { name, shape } = input;
  if (typeof name !== 'string') throw new HttpError(400, `${path}.name: must be a string`);
  const size = binarySize(input, path);
  const bytes = size === undefined ? undefined : binary.take(size);
  if (size !== undefined && bytes === undefined) {
    throw new HttpError(400, `${path}.parameters.binary_data_size: ${size} bytes are more than the request holds`);
  }
  if (ignore.has(name)) return undefined;

  const datatype = typeof input['datatype'] === 'string' ? findDatatype(input['datatype']) : undefined;
  if (datatype === undefined) {
    throw new HttpError(400, `${path}.datatype: must be one of ${datatypeNames.join(', ')}`);
  }
  if (!isShape(shape)) throw new HttpError(400, `${path}.shape: must be an array of whole numbers`);
  const length = shape.reduce((product, dimension) => product * dimension, 1);
  const elements =
    bytes === undefined ? jsonElements(input['data'], shape, path) : binaryElements(bytes, datatype, path);
  if (elements.length !== length) {
    throw new HttpError(
      400,
      `${path}: has ${elements.length} elements; its shape [${shape.join(', ')}] takes ${length}`,
    );
  }
  return { name, shape, datatype, elements };
}

function isShape(shape: unknown): shape is number[] {
  return Array.isArray(shape) && shape.length <= 8 && shape.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function binarySize({ parameters }: Record<string, unknown>, path: string): number | undefined {
  if (!isObject(parameters)) return undefined;
  const size = parameters['binary_data_size'];
  if (size === undefined) return undefined;
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
  throw new HttpError(400, `${path}.parameters.binary_data_size: must be a whole number`);
}

function binaryElements(bytes: Uint8Array, datatype: Datatype, path: string): ArrayLike<unknown> {
  if (bytes.length % datatype.size !== 0) {
    throw new HttpError(400, `${path}: ${bytes.length} bytes are no whole number of ${datatype.name} elements`);
  }
  return datatype.read(bytes);
}

/** JSON data may be flat or nested as the shape says. */
function jsonElements(data: unknown, shape: readonly number[], path: string): ArrayLike<unknown> {
  if (!Array.isArray(data)) throw new HttpError(400, `${path}.data: must be an array`);
  if (!Array.isArray(data[0])) return data;
  let elements: unknown[] = data;
  for (let depth = 1; depth < shape.length; depth++) {
    const size = shape[depth];
    if (!elements.every((part) => Array.isArray(part) && part.length === size)) {
      throw new HttpError(400, `${path}.data: must be flat, or nested as its shape [${shape.join(', ')}]`);
    }
    elements = elements.flat();
  }
  return elements;
}
