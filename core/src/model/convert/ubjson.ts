import { malformed } from './tree-ensemble.ts';

/** Deeper than any model file, and far from the end of the stack. */
const deepest = 64;

const numberTypes = {
  i: { size: 1, read: (view: DataView, at: number) => view.getInt8(at) },
  U: { size: 1, read: (view: DataView, at: number) => view.getUint8(at) },
  I: { size: 2, read: (view: DataView, at: number) => view.getInt16(at) },
  l: { size: 4, read: (view: DataView, at: number) => view.getInt32(at) },
  L: { size: 8, read: (view: DataView, at: number) => Number(view.getBigInt64(at)) },
  d: { size: 4, read: (view: DataView, at: number) => view.getFloat32(at) },
  D: { size: 8, read: (view: DataView, at: number) => view.getFloat64(at) },
} as const;

type NumberType = keyof typeof numberTypes;

/**
 * Reads a UBJSON document (https://ubjson.org, draft 12) as XGBoost writes it: objects, arrays with or without a count,
 * arrays of numbers of one type, strings, numbers, booleans and null. Time and memory are bounded by the bytes' number,
 * whatever they say.
 *
 * @throws RiskModelError `MalformedModel` with the position
 */
export function readUbjson(bytes: Uint8Array): unknown {
  const reader = new UbjsonReader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

class UbjsonReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(depth: number): unknown {
    if (depth > deepest) throw this.#error(`is nested more than ${deepest} levels deep`);
    const marker = this.#marker();
    switch (marker) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case 'S':
        return this.#text();
      case 'C':
        return String.fromCharCode(this.#number('U'));
      case 'T':
        return true;
      case 'F':
        return false;
      case 'Z':
        return null;
      default:
        if (isNumberType(marker)) return this.#number(marker);
        throw this.#error(`has the unknown type ${JSON.stringify(marker)}`, this.#at - 1);
    }
  }

  end(): void {
    if (this.#at < this.#bytes.length) throw this.#error('goes on after its end');
  }

  #object(depth: number): Record<string, unknown> {
    // A null prototype, so that no name in the file means anything but itself.
    const object = Object.create(null) as Record<string, unknown>;
    let remaining = this.#skip('#') ? this.#count(1) : Infinity;
    while (remaining === Infinity ? !this.#skip('}') : remaining-- > 0) {
      object[this.#text()] = this.value(depth + 1);
    }
    return object;
  }

  #array(depth: number): unknown[] {
    if (this.#skip('$')) {
      const type = this.#marker();
      if (!isNumberType(type)) throw this.#error(`has an array of the type ${JSON.stringify(type)}`, this.#at - 1);
      if (!this.#skip('#')) throw this.#error('has an array with a type and without a count');
      const count = this.#count(numberTypes[type].size);
      return Array.from({ length: count }, () => this.#number(type));
    }
    const array: unknown[] = [];
    let remaining = this.#skip('#') ? this.#count(1) : Infinity;
    while (remaining === Infinity ? !this.#skip(']') : remaining-- > 0) array.push(this.value(depth + 1));
    return array;
  }

  #text(): string {
    const length = this.#count(1);
    const start = this.#at;
    this.#at += length;
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, length).toString('utf8');
  }

  /** A number of things of `size` bytes each, which must be there. */
  #count(size: number): number {
    const start = this.#at;
    const type = this.#marker();
    if (!isNumberType(type) || type === 'd' || type === 'D') throw this.#error('must have a length here', start);
    const count = this.#number(type);
    if (count < 0) throw this.#error('has a negative length', start);
    if (count * size > this.#bytes.length - this.#at) throw this.#error('ends before what its length says', start);
    return count;
  }

  #number(type: NumberType): number {
    const { size, read } = numberTypes[type];
    if (this.#at + size > this.#bytes.length) throw this.#error('ends in the middle of a number');
    const value = read(this.#view, this.#at);
    this.#at += size;
    return value;
  }

  #marker(): string {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.#error('ends too early');
    this.#at++;
    return String.fromCharCode(byte);
  }

  #skip(marker: string): boolean {
    if (this.#at >= this.#bytes.length) throw this.#error('ends too early');
    if (this.#bytes[this.#at] !== marker.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  #error(what: string, at = this.#at): Error {
    return malformed('UBJSON', `the file ${what} (at byte ${at} of ${this.#bytes.length})`);
  }
}

function isNumberType(marker: string): marker is NumberType {
  return Object.hasOwn(numberTypes, marker);
}
