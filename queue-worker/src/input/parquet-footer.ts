import { buffer } from 'node:stream/consumers';
import { RiskModelError, messageOf } from '@riskmodel/core/errors.ts';
import type { ObjectInfo, ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import {
  columnChunk,
  columnMetaData,
  endOfFile,
  fileMetaData,
  magic,
  refuse,
  rewrite,
  rewriteFields,
  rowGroup,
  tailLength,
  valueOf,
  withoutBloomFilter,
  withoutPageIndexes,
} from '@riskmodel/core/warehouse/parquet-structure.ts';
import {
  decodeInteger,
  decodeList,
  decodeStruct,
  encodeInteger,
  encodeList,
  thriftType,
  type ThriftField,
} from '@riskmodel/core/warehouse/thrift-compact.ts';

/** What is read of a file's end at first: more than most footers are long. */
const firstRead = 256 << 10;
/** Some writers leave a dictionary page's header out of a column's size. */
const slack = 1 << 10;

/** The bytes of a file that hold some consecutive rows. */
export interface RowGroup {
  records: number;
  start: number;
  /** Exclusive. */
  end: number;
  /** Its size when it is decompressed. */
  bytes: number;
}

/** A Parquet file's footer, taken apart so far that row groups can be left out. */
export class ParquetFooter {
  readonly rowGroups: readonly RowGroup[];
  /** Where the row groups end and the footer begins. */
  readonly dataEnd: number;
  readonly #fields: readonly ThriftField[];
  readonly #encodedGroups: readonly Buffer[];

  /** Throws when the bytes are no footer, or one of a file that needs other files or a key to be read. */
  constructor(bytes: Buffer, dataEnd: number) {
    this.dataEnd = dataEnd;
    this.#fields = decodeStruct(bytes);
    refuse(this.#fields, [fileMetaData.encryption], 'it is encrypted');
    this.#encodedGroups = decodeList(valueOf(this.#fields, fileMetaData.rowGroups)).items;
    this.rowGroups = this.#encodedGroups.map((group) => describe(group, dataEnd));
  }

  /**
   * The end of a file that has only the row groups from `first` (inclusive) to `last` (exclusive), at the same offsets:
   * a footer, its length and the magic bytes. Page indexes and Bloom filters are left out, which lie elsewhere.
   */
  endOfPart(first: number, last: number): Buffer {
    const kept = this.rowGroups.slice(first, last);
    const rows = kept.reduce((sum, group) => sum + group.records, 0);
    return endOfFile(
      rewriteFields(this.#fields, {
        [fileMetaData.rows]: () => encodeInteger(BigInt(rows)),
        [fileMetaData.rowGroups]: () => {
          const items = this.#encodedGroups.slice(first, last).map(withoutIndexes);
          return encodeList({ type: thriftType.struct, items });
        },
      }),
    );
  }
}

/**
 * Reads a Parquet object's footer, and nothing else of it.
 * @throws RiskModelError `InvalidParquet`, `InputChanged`, or what the store throws
 */
export async function readFooter(object: ObjectInfo, store: ObjectStore): Promise<ParquetFooter> {
  const { size } = object;
  const end = await buffer(await store.read(object, { start: Math.max(0, size - firstRead) }));
  const footerLength = end.length < tailLength ? 0 : end.readUInt32LE(end.length - tailLength);
  const dataEnd = size - tailLength - footerLength;
  if (!end.subarray(-magic.length).equals(magic) || dataEnd < magic.length) {
    throw invalidParquet(object.uri, "it doesn't end as one: it is cut short, or something else");
  }
  const footer =
    footerLength + tailLength <= end.length
      ? end.subarray(end.length - tailLength - footerLength, end.length - tailLength)
      : await buffer(await store.read(object, { start: dataEnd, end: size - tailLength }));
  try {
    return new ParquetFooter(footer, dataEnd);
  } catch (cause) {
    throw invalidParquet(object.uri, messageOf(cause), cause);
  }
}

export function invalidParquet(uri: string, why: string, cause?: unknown): RiskModelError {
  return new RiskModelError('InvalidParquet', `${uri} is not a readable Parquet file: ${why}`, { cause });
}

function describe(group: Buffer, dataEnd: number): RowGroup {
  const fields = decodeStruct(group);
  let start = dataEnd;
  let end = magic.length;
  let bytes = 0;
  for (const column of decodeList(valueOf(fields, rowGroup.columns)).items) {
    const columnFields = decodeStruct(column);
    refuse(columnFields, [columnChunk.crypto], 'it is encrypted');
    refuse(columnFields, [columnChunk.filePath], 'it has columns in other files');
    const metaData = decodeStruct(valueOf(columnFields, columnChunk.metaData));
    const pages = [columnMetaData.dataPage, columnMetaData.indexPage, columnMetaData.dictionaryPage];
    // 0, where the magic bytes are, stands for none.
    const offsets = pages.map((id) => numberOf(metaData, id) ?? 0).filter((offset) => offset > 0);
    const columnStart = Math.min(...offsets);
    const columnEnd = columnStart + (numberOf(metaData, columnMetaData.compressedSize) ?? 0);
    if (!(columnStart >= magic.length && columnEnd <= dataEnd)) {
      throw new Error(`its footer points to bytes ${columnStart} to ${columnEnd}, where there are no data`);
    }
    start = Math.min(start, columnStart);
    end = Math.max(end, columnEnd);
    bytes += numberOf(metaData, columnMetaData.uncompressedSize) ?? 0;
  }
  return { records: numberOf(fields, rowGroup.rows) ?? 0, start, end: Math.min(end + slack, dataEnd), bytes };
}

function withoutIndexes(group: Buffer): Buffer {
  return rewrite(group, {
    [rowGroup.columns]: (columns) => {
      const { type, items } = decodeList(columns);
      return encodeList({ type, items: items.map(columnWithoutIndexes) });
    },
  });
}

function columnWithoutIndexes(column: Buffer): Buffer {
  return rewrite(column, {
    ...withoutPageIndexes,
    [columnChunk.metaData]: (metaData) => rewrite(metaData, withoutBloomFilter),
  });
}

function numberOf(fields: readonly ThriftField[], id: number): number | undefined {
  const field = fields.find((candidate) => candidate.id === id);
  return field === undefined ? undefined : Number(decodeInteger(field.value));
}
