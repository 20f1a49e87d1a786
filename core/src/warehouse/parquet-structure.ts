import { decodeStruct, encodeStruct, type ThriftField } from './thrift-compact.ts';

/*
 * What a Parquet file is made of, as far as whole row groups are copied, moved or left out: ids of a footer's fields, and
 * what is done with them.
 * https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */
export const fileMetaData = {
  schema: 2,
  rows: 3,
  rowGroups: 4,
  createdBy: 6,
  encryption: 8,
  signingKey: 9,
  extension: 32_767,
};
export const rowGroup = { columns: 1, rows: 3, fileOffset: 5, ordinal: 7 };
export const columnChunk = {
  filePath: 1,
  fileOffset: 2,
  metaData: 3,
  offsetIndexOffset: 4,
  offsetIndexLength: 5,
  columnIndexOffset: 6,
  columnIndexLength: 7,
  crypto: 8,
  encryptedMetaData: 9,
};
export const columnMetaData = {
  uncompressedSize: 6,
  compressedSize: 7,
  dataPage: 9,
  indexPage: 10,
  dictionaryPage: 11,
  bloomFilter: 14,
  bloomFilterLength: 15,
};

/** The bytes that a file begins with, and ends with. */
export const magic = Buffer.from('PAR1');
/** The footer's length and the magic bytes, with which every file ends. */
export const tailLength = 8;

/** The end of a file: a footer, its length and the magic bytes. */
export function endOfFile(footer: Buffer): Buffer {
  const length = Buffer.alloc(tailLength - magic.length);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([footer, length, magic]);
}

/** The value of a field in its new form; undefined when the field is to go. */
export type Rewrite = (value: Buffer) => Buffer | undefined;

const leaveOut: Rewrite = () => undefined;

/** Leaves a column's page indexes out, which lie elsewhere in the file, with offsets of their own; readers do without. */
export const withoutPageIndexes: Readonly<Record<number, Rewrite>> = {
  [columnChunk.offsetIndexOffset]: leaveOut,
  [columnChunk.offsetIndexLength]: leaveOut,
  [columnChunk.columnIndexOffset]: leaveOut,
  [columnChunk.columnIndexLength]: leaveOut,
};

/** Leaves a column's Bloom filter out. */
export const withoutBloomFilter: Readonly<Record<number, Rewrite>> = {
  [columnMetaData.bloomFilter]: leaveOut,
  [columnMetaData.bloomFilterLength]: leaveOut,
};

/** A struct with some of its fields, by their ids, in another form. */
export function rewrite(bytes: Buffer, changes: Readonly<Record<number, Rewrite>>): Buffer {
  return rewriteFields(decodeStruct(bytes), changes);
}

export function rewriteFields(fields: readonly ThriftField[], changes: Readonly<Record<number, Rewrite>>): Buffer {
  return encodeStruct(
    fields.flatMap((field) => {
      const change = changes[field.id];
      if (change === undefined) return [field];
      const value = change(field.value);
      return value === undefined ? [] : [{ ...field, value }];
    }),
  );
}

/** The value of a field that must be there. */
export function valueOf(fields: readonly ThriftField[], id: number): Buffer {
  const field = fields.find((candidate) => candidate.id === id);
  if (field === undefined) throw new Error(`its footer lacks field ${id}`);
  return field.value;
}

/** Throws when one of the fields is there. */
export function refuse(fields: readonly ThriftField[], ids: readonly number[], reason: string): void {
  if (fields.some(({ id }) => ids.includes(id))) throw new Error(reason);
}
