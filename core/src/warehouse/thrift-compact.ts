/*
 * Thrift's compact protocol, for taking structs apart and putting them together again. A value stays encoded until
 * somebody asks for it: what nobody asks for, known or not, is written as it was read, bit for bit.
 *
 * https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */

/** The protocol's numbers for the types of fields and elements. */
export const thriftType = {
  true: 1,
  false: 2,
  i8: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  map: 11,
  struct: 12,
  uuid: 13,
} as const;

export interface ThriftField {
  id: number;
  type: number;
  /** The value as encoded; empty for `true` and `false`, which are types of their own. */
  value: Buffer;
}

/** A list or a set. */
export interface ThriftList {
  type: number;
  /** The elements as encoded. */
  items: Buffer[];
}

/** Values in values, beyond which no footer goes and the stack might. */
const maxDepth = 64;

/** Throws when the bytes are anything but one struct. The values are views of `bytes`. */
export function decodeStruct(bytes: Buffer): ThriftField[] {
  const input = new Input(bytes);
  const fields = [...readFields(input, 0)];
  input.expectEnd();
  return fields;
}

export function encodeStruct(fields: readonly ThriftField[]): Buffer {
  const parts: Buffer[] = [];
  let last = 0;
  for (const { id, type, value } of fields) {
    const delta = id - last;
    if (delta >= 1 && delta <= 15) parts.push(Buffer.of((delta << 4) | type), value);
    else parts.push(Buffer.of(type), encodeInteger(BigInt(id)), value);
    last = id;
  }
  return Buffer.concat([...parts, Buffer.of(0)]);
}

/** Throws when the bytes are anything but one list or set. The items are views of `bytes`. */
export function decodeList(bytes: Buffer): ThriftList {
  const input = new Input(bytes);
  const { type, size } = readListHeader(input);
  const items: Buffer[] = [];
  while (items.length < size) items.push(input.slice(() => skipElement(input, type, 0)));
  input.expectEnd();
  return { type, items };
}

export function encodeList({ type, items }: ThriftList): Buffer {
  const { length } = items;
  const header = length < 15 ? Buffer.of((length << 4) | type) : Buffer.of(0xf0 | type, ...varint(BigInt(length)));
  return Buffer.concat([header, ...items]);
}

/** An `i16`, `i32` or `i64`. Throws when the bytes are anything else. */
export function decodeInteger(bytes: Buffer): bigint {
  const input = new Input(bytes);
  const value = input.integer();
  input.expectEnd();
  return value;
}

/** Of any type but `i8`: they differ in nothing but how large a number they take. */
export function encodeInteger(value: bigint): Buffer {
  if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} has more than 64 bits`);
  return Buffer.from(varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))));
}

function* readFields(input: Input, depth: number): Iterable<ThriftField> {
  if (depth > maxDepth) throw new Error('Thrift values are nested too deeply');
  let id = 0;
  for (let header = input.byte(); header !== 0; header = input.byte()) {
    const delta = header >> 4;
    const type = header & 0x0f;
    id = delta === 0 ? Number(input.integer()) : id + delta;
    if (id < -0x8000 || id > 0x7fff) throw new Error(`${id} is no Thrift field's id`);
    yield { id, type, value: input.slice(() => skipValue(input, type, depth)) };
  }
}

function readListHeader(input: Input): { type: number; size: number } {
  const header = input.byte();
  const size = header >> 4;
  return { type: header & 0x0f, size: size === 15 ? input.size() : size };
}

/** Booleans take no bytes in a struct, where the field's type says it all, and one byte among elements. */
function skipElement(input: Input, type: number, depth: number): void {
  if (type === thriftType.true || type === thriftType.false) input.skip(1);
  else skipValue(input, type, depth);
}

function skipValue(input: Input, type: number, depth: number): void {
  if (depth > maxDepth) throw new Error('Thrift values are nested too deeply');
  switch (type) {
    case thriftType.true:
    case thriftType.false:
      return;
    case thriftType.i8:
      return input.skip(1);
    case thriftType.i16:
    case thriftType.i32:
    case thriftType.i64:
      return input.skipVarint();
    case thriftType.double:
      return input.skip(8);
    case thriftType.binary:
      return input.skip(input.size());
    case thriftType.list:
    case thriftType.set: {
      const { type: of, size } = readListHeader(input);
      for (let i = 0; i < size; i++) skipElement(input, of, depth + 1);
      return;
    }
    case thriftType.map: {
      const size = input.size();
      if (size === 0) return;
      const types = input.byte();
      for (let i = 0; i < size; i++) {
        skipElement(input, types >> 4, depth + 1);
        skipElement(input, types & 0x0f, depth + 1);
      }
      return;
    }
    case thriftType.struct:
      for (const _ of readFields(input, depth + 1));
      return;
    case thriftType.uuid:
      return input.skip(16);
    default:
      throw new Error(`${type} is no Thrift type`);
  }
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

/** Bytes that are read from front to back. */
class Input {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.#position++];
    if (byte === undefined) throw endsEarly();
    return byte;
  }

  skip(bytes: number): void {
    this.#position += bytes;
    if (this.#position > this.#bytes.length) throw endsEarly();
  }

  skipVarint(): void {
    for (let length = 1; this.byte() > 0x7f; length++) if (length === 10) throw tooLarge();
  }

  /** A number of bytes or elements. */
  size(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 28; scale *= 2 ** 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte <= 0x7f && value < 2 ** 31) return value;
    }
    throw tooLarge();
  }

  /** A zigzag integer of up to 64 bits. */
  integer(): bigint {
    const bytes = this.slice(() => this.skipVarint());
    const zigzag = bytes.reduceRight((value, byte) => (value << 7n) | BigInt(byte & 0x7f), 0n);
    if (zigzag >= 2n ** 64n) throw tooLarge();
    return (zigzag >> 1n) ^ -(zigzag & 1n);
  }

  /** The bytes that `advance` goes over. */
  slice(advance: () => void): Buffer {
    const start = this.#position;
    advance();
    return this.#bytes.subarray(start, this.#position);
  }

  expectEnd(): void {
    const left = this.#bytes.length - this.#position;
    if (left > 0) throw new Error(`${left} bytes too many after a Thrift value`);
  }
}

function endsEarly(): Error {
  return new Error('a Thrift value ends early');
}

function tooLarge(): Error {
  return new Error('a Thrift number is too large');
}
