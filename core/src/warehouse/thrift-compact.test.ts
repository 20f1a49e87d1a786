import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import {
  array,
  assert,
  bigInt,
  constantFrom,
  double,
  integer,
  letrec,
  oneof,
  property,
  tuple,
  uint8Array,
  type Arbitrary,
} from 'fast-check';
import {
  decodeInteger,
  decodeList,
  decodeStruct,
  encodeInteger,
  encodeList,
  encodeStruct,
  thriftType,
  type ThriftField,
} from './thrift-compact.ts';

function bytes(...values: number[]): Buffer {
  return Buffer.from(values);
}

function struct(...fields: [id: number, type: number, value: Buffer][]): Buffer {
  return encodeStruct(fields.map(([id, type, value]) => ({ id, type, value })));
}

describe('integers', () => {
  test.each([
    [0n, [0x00]],
    [-1n, [0x01]],
    [1n, [0x02]],
    [-2n, [0x03]],
    [63n, [0x7e]],
    [64n, [0x80, 0x01]],
    [2n ** 31n - 1n, [0xfe, 0xff, 0xff, 0xff, 0x0f]],
    [-(2n ** 31n), [0xff, 0xff, 0xff, 0xff, 0x0f]],
    [2n ** 53n + 1n, [0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]],
    [2n ** 63n - 1n, [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    [-(2n ** 63n), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ])('%d', (value, encoded) => {
    expect([...encodeInteger(value)]).toEqual(encoded);
    expect(decodeInteger(Buffer.from(encoded))).toBe(value);
  });

  test('are exact to the last of 64 bits', () => {
    assert(
      property(bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(decodeInteger(encodeInteger(value))).toBe(value);
      }),
    );
  });

  test.each([2n ** 63n, -(2n ** 63n) - 1n])('%d has too many bits', (value) => {
    expect(() => encodeInteger(value)).toThrow(RangeError);
  });

  test.each([
    ['without an end', [0x80], 'ends early'],
    ['of no bytes', [], 'ends early'],
    ['of 65 bits', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02], 'too large'],
    ['of 11 bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 'too large'],
    ['with bytes after it', [0x00, 0x00], '1 bytes too many'],
  ])('%s', (_, encoded, message) => {
    expect(() => decodeInteger(Buffer.from(encoded))).toThrow(message);
  });
});

describe('structs', () => {
  const { true: yes, i32, binary } = thriftType;

  test('as the specification has them: ids as steps of up to 15, others in full', () => {
    const encoded = bytes(0x15, 0x02, 0xf1, 0x05, 0x40, 0x04, 0x08, 0xfe, 0xff, 0x03, 0x02, 0x68, 0x69, 0x00);
    const fields: ThriftField[] = [
      { id: 1, type: i32, value: bytes(0x02) },
      { id: 16, type: yes, value: bytes() },
      { id: 32, type: i32, value: bytes(0x04) },
      { id: 32_767, type: binary, value: bytes(0x02, 0x68, 0x69) },
    ];
    expect(encodeStruct(fields)).toEqual(encoded);
    expect(decodeStruct(encoded)).toEqual(fields);
  });

  test('fields keep their order, whatever their ids', () => {
    const fields = [7, 3, 3, -32_768, 32_767].map((id) => ({ id, type: i32, value: encodeInteger(BigInt(id)) }));
    expect(decodeStruct(encodeStruct(fields))).toEqual(fields);
  });

  test.each([
    ['no bytes', [], 'ends early'],
    ['no end', [0x15, 0x02], 'ends early'],
    ['bytes after the end', [0x00, 0x00], '1 bytes too many'],
    ['a type that there is not', [0x1e, 0x00], '14 is no Thrift type'],
    ['the end as a type', [0x10, 0x00], '0 is no Thrift type'],
    ['a text that is longer than the bytes', [0x18, 0x05, 0x61, 0x00], 'ends early'],
    ['a text of 2^31 bytes', [0x18, 0x80, 0x80, 0x80, 0x80, 0x08], 'too large'],
    ['a list that is longer than the bytes', [0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00], 'ends early'],
    ['an id beyond 16 bits', [0x05, 0x80, 0x80, 0x04, 0x00, 0x00], "32768 is no Thrift field's id"],
    ['10,000 structs in one another', Array.from<number>({ length: 10_000 }).fill(0x1c), 'nested too deeply'],
    ['10,000 lists in one another', [0x19, ...Array.from<number>({ length: 10_000 }).fill(0x19)], 'nested too deeply'],
  ])('with %s', (_, encoded, message) => {
    expect(() => decodeStruct(Buffer.from(encoded))).toThrow(message);
  });
});

describe('lists', () => {
  test.each([0, 1, 14, 15, 16, 200])('of %d', (size) => {
    const list = {
      type: thriftType.i64,
      items: Array.from({ length: size }, (_, i) => encodeInteger(BigInt(i) << 40n)),
    };
    expect(decodeList(encodeList(list))).toEqual(list);
  });

  test('of booleans, which take a byte here', () => {
    expect(decodeList(bytes(0x32, 0x01, 0x00, 0x01)).items).toEqual([bytes(1), bytes(0), bytes(1)]);
  });

  test('of structs', () => {
    const items = [struct(), struct([3, thriftType.true, bytes()])];
    expect(decodeList(encodeList({ type: thriftType.struct, items })).items).toEqual(items);
  });

  test.each([
    ['no bytes', [], 'ends early'],
    ['too few items', [0x25, 0x00], 'ends early'],
    ['too many', [0x15, 0x00, 0x00], '1 bytes too many'],
  ])('with %s', (_, encoded, message) => {
    expect(() => decodeList(Buffer.from(encoded))).toThrow(message);
  });
});

interface Value {
  type: number;
  value: Buffer;
}

function blob(length: number): Arbitrary<Buffer> {
  return uint8Array({ minLength: length, maxLength: length }).map((content) => Buffer.from(content));
}

function typed(type: number, values: Arbitrary<Buffer>): Arbitrary<Value> {
  return values.map((value) => ({ type, value }));
}

const anyId = integer({ min: -0x8000, max: 0x7fff });

/** Values of every type, nested. Booleans are as elements have them. */
const { value: anyValue } = letrec<{ value: Value; leaf: Value; struct: Value; list: Value; map: Value }>((tie) => {
  const { i8, i16, i32, i64, double, binary, uuid, false: bool, list, set, map, struct } = thriftType;
  const withSize = (size: number, ...content: Buffer[]): Buffer =>
    Buffer.concat([bytes(...(size > 127 ? [(size & 0x7f) | 0x80, size >> 7] : [size])), ...content]);
  return {
    value: oneof({ maxDepth: 3, depthSize: 'small' }, tie('leaf'), tie('struct'), tie('list'), tie('map')),
    leaf: oneof(
      typed(bool, constantFrom(bytes(0), bytes(1))),
      typed(i8, blob(1)),
      typed(i16, bigInt(-(2n ** 15n), 2n ** 15n - 1n).map(encodeInteger)),
      typed(i32, bigInt(-(2n ** 31n), 2n ** 31n - 1n).map(encodeInteger)),
      typed(i64, bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(encodeInteger)),
      typed(double, blob(8)),
      typed(uuid, blob(16)),
      typed(
        binary,
        integer({ min: 0, max: 200 })
          .chain(blob)
          .map((content) => withSize(content.length, content)),
      ),
    ),
    struct: typed(struct, array(tuple(anyId, tie('value')), { maxLength: 5 }).map(structOf)),
    list: tuple(constantFrom(list, set), array(tie('value'), { maxLength: 20 })).map(([type, values]) => {
      const of = values[0]?.type ?? struct;
      const items = values.filter((value) => value.type === of).map(({ value }) => value);
      return { type, value: encodeList({ type: of, items }) };
    }),
    map: tuple(
      array(tie('leaf'), { minLength: 1, maxLength: 5 }),
      array(tie('value'), { minLength: 1, maxLength: 5 }),
    ).map(([keys, values]) => {
      const [key, item] = [keys[0]?.type ?? 0, values[0]?.type ?? 0];
      const pairs = keys
        .filter(({ type }) => type === key)
        .flatMap((key, i) => [key.value, values[i]?.type === item ? values[i].value : (values[0] as Value).value]);
      return { type: map, value: withSize(pairs.length / 2, bytes((key << 4) | item), ...pairs) };
    }),
  };
});

function structOf(fields: [id: number, value: Value][]): Buffer {
  return encodeStruct(fields.map(asField));
}

/** A boolean is its field's type, and nothing else. */
function asField([id, { type, value }]: [id: number, value: Value]): ThriftField {
  if (type !== thriftType.false) return { id, type, value };
  return { id, type: value[0] === 1 ? thriftType.true : thriftType.false, value: bytes() };
}

/** Jest compares texts much faster than buffers. */
function inHex({ id, type, value }: ThriftField): string {
  return `${id}: ${type} ${value.toString('hex')}`;
}

const anyFields = array(tuple(anyId, anyValue).map(asField));

describe('structs of any values', () => {
  test('are read as they were written', () => {
    assert(
      property(anyFields, (fields) => {
        expect(decodeStruct(encodeStruct(fields)).map(inHex)).toEqual(fields.map(inHex));
      }),
    );
  });

  test('are refused when they are cut short anywhere', () => {
    assert(
      property(anyFields, double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (fields, share) => {
        const encoded = encodeStruct(fields);
        const cut = encoded.subarray(0, Math.floor(encoded.length * share));
        expect(() => decodeStruct(cut)).toThrow('ends early');
      }),
    );
  });
});

test('arbitrary bytes are an error, or are what is written again', () => {
  assert(
    property(uint8Array({ maxLength: 50 }), (content) => {
      let fields: ThriftField[];
      try {
        fields = decodeStruct(Buffer.from(content));
      } catch (error) {
        expect(error).not.toBeInstanceOf(RangeError);
        return;
      }
      expect(decodeStruct(encodeStruct(fields))).toEqual(fields);
    }),
    { numRuns: 1_000 },
  );
});

describe("DuckDB's footers, taken apart to the last value, are put together again byte for byte", () => {
  let folder: string;
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'thrift-compact-'));
    instance = await DuckDBInstance.create();
    connection = await instance.connect();
  });
  afterAll(async () => {
    connection.closeSync();
    instance.closeSync();
    await rm(folder, { recursive: true });
  });

  test.each([
    ['no rows', 'SELECT i FROM range(0) t(i)', ''],
    ['flat columns', "SELECT i, i / 7 AS d, i % 5 || 'x' AS s, i % 2 = 0 AS b, NULL AS n FROM range(9000) t(i)", ''],
    ['nested columns', "SELECT [i, NULL] AS l, {'a': i, 'b': [i]} AS s, MAP {i: 'x'} AS m FROM range(100) t(i)", ''],
    ['decimals, times and UUIDs', 'SELECT i::DECIMAL(20, 3) AS c, now() AS t, uuid() AS u FROM range(100) t(i)', ''],
    [
      'many columns',
      `SELECT ${Array.from({ length: 50 }, (_, i) => `i + ${i} AS "c${i}"`).join()} FROM range(9) t(i)`,
      '',
    ],
    ['metadata and version 2', 'SELECT i FROM range(100) t(i)', ", parquet_version v2, kv_metadata {a: 'b', c: 'ä'}"],
  ])('%s', async (name, sql, options) => {
    const file = join(folder, `${name}.parquet`);
    await connection.run(`COPY (${sql}) TO '${file}' (FORMAT parquet, ROW_GROUP_SIZE 2048${options})`);
    const content = await readFile(file);
    const footer = content.subarray(-8 - content.readUInt32LE(content.length - 8), -8);
    expect(recode(thriftType.struct, footer).toString('latin1')).toBe(footer.toString('latin1'));
  });
});

function recode(type: number, value: Buffer): Buffer {
  switch (type) {
    case thriftType.struct:
      return encodeStruct(decodeStruct(value).map((field) => ({ ...field, value: recode(field.type, field.value) })));
    case thriftType.list: {
      const list = decodeList(value);
      return encodeList({ type: list.type, items: list.items.map((item) => recode(list.type, item)) });
    }
    case thriftType.i16:
    case thriftType.i32:
    case thriftType.i64:
      return encodeInteger(decodeInteger(value));
    default:
      return value;
  }
}
