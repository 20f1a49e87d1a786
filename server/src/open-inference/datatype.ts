/** One of the protocol's tensor data types, as far as a number is in it. */
export interface Datatype {
  readonly name: string;
  /** Bytes of one element in binary data. */
  readonly size: number;
  /** Whole numbers from `minimum` to `maximum` only; undefined for floating point and BOOL. */
  readonly range: { minimum: number; maximum: number } | undefined;
  /** The elements of binary data: little-endian, without padding. */
  read(bytes: Uint8Array): ArrayLike<number | bigint | boolean>;
}

type TypedArrayClass = new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayLike<number | bigint>;

/** A view where the bytes are aligned for one, else of a copy. Every platform that Node runs on is little-endian. */
function viewAs(type: TypedArrayClass, size: number): Datatype['read'] {
  return (bytes) => {
    const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
    return new type(aligned.buffer, aligned.byteOffset, bytes.length / size);
  };
}

function integer(name: string, type: TypedArrayClass, size: number, signed: boolean): Datatype {
  const bits = size * 8;
  const range = signed
    ? { minimum: -(2 ** (bits - 1)), maximum: 2 ** (bits - 1) - 1 }
    : { minimum: 0, maximum: 2 ** bits - 1 };
  return { name, size, range, read: viewAs(type, size) };
}

const all: readonly Datatype[] = [
  {
    name: 'BOOL',
    size: 1,
    range: undefined,
    // Any other byte is no boolean, and stays the number it is for the encoder to refuse.
    read: (bytes) => Array.from(bytes, (byte) => (byte > 1 ? byte : byte === 1)),
  },
  integer('INT8', Int8Array, 1, true),
  integer('INT16', Int16Array, 2, true),
  integer('INT32', Int32Array, 4, true),
  integer('INT64', BigInt64Array, 8, true),
  integer('UINT8', Uint8Array, 1, false),
  integer('UINT16', Uint16Array, 2, false),
  integer('UINT32', Uint32Array, 4, false),
  integer('UINT64', BigUint64Array, 8, false),
  { name: 'FP32', size: 4, range: undefined, read: viewAs(Float32Array, 4) },
  { name: 'FP64', size: 8, range: undefined, read: viewAs(Float64Array, 8) },
];

const byName: ReadonlyMap<string, Datatype> = new Map(all.map((datatype) => [datatype.name, datatype]));

export const datatypeNames: readonly string[] = [...byName.keys()];

export function findDatatype(name: string): Datatype | undefined {
  return byName.get(name);
}
