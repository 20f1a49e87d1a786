import { open, rm, type FileHandle } from 'node:fs/promises';
import { messageOf } from '../errors.ts';
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
  withoutPageIndexes,
  type Rewrite,
} from './parquet-structure.ts';
import {
  decodeInteger,
  decodeList,
  decodeStruct,
  encodeInteger,
  encodeList,
  thriftType,
  type ThriftField,
} from './thrift-compact.ts';

const encryptedMagic = Buffer.from('PARE');
const copiedAtOnce = 1 << 20;
const maxOrdinal = 0x7fff;

/**
 * Makes one Parquet file of several that have the same schema: the rows of the first, then those of the second, and so
 * on. Nothing is decoded: the bytes of the row groups are copied as they are, and one footer tells where each is now.
 * Page indexes are left out, as they hold offsets of their own; readers do without.
 *
 * `output` must not exist. It is on disk when this returns; when this throws there is none.
 */
export async function concatenateParquet(inputs: readonly string[], output: string): Promise<void> {
  if (inputs.length === 0) throw new Error('no Parquet files to concatenate');
  const target = await open(output, 'wx');
  try {
    try {
      await copyAll(inputs, target);
      await target.sync();
    } finally {
      await target.close();
    }
  } catch (error) {
    await rm(output, { force: true });
    throw error;
  }
}

async function copyAll(inputs: readonly string[], target: FileHandle): Promise<void> {
  const merged = new MergedFooter();
  const buffer = Buffer.allocUnsafe(copiedAtOnce);
  let end = magic.length;
  await target.appendFile(magic);
  for (const path of inputs) {
    const source = await open(path);
    try {
      // Everything between the magic bytes and the footer is copied: Bloom filters come after the row groups.
      const dataEnd = await addFooter(merged, { path, source, movedBy: end - magic.length });
      await copy(source, { from: magic.length, to: dataEnd, target, buffer });
      end += dataEnd - magic.length;
    } finally {
      await source.close();
    }
  }
  await target.appendFile(endOfFile(merged.encode()));
}

/** Where the file's data end and its footer begins. */
async function addFooter(
  merged: MergedFooter,
  { path, source, movedBy }: { path: string; source: FileHandle; movedBy: number },
): Promise<number> {
  try {
    const { footer, dataEnd } = await readFooter(source);
    merged.add(footer, { path, dataEnd, movedBy });
    return dataEnd;
  } catch (cause) {
    throw new Error(`can't concatenate the Parquet file ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function readFooter(source: FileHandle): Promise<{ footer: Buffer; dataEnd: number }> {
  const { size } = await source.stat();
  if (size < magic.length + tailLength) throw new Error(`it has only ${size} bytes`);
  const head = await readFully(source, Buffer.alloc(magic.length), 0);
  const tail = await readFully(source, Buffer.alloc(tailLength), size - tailLength);
  const lastMagic = tail.subarray(tailLength - magic.length);
  if (lastMagic.equals(encryptedMagic)) throw new Error('its footer is encrypted');
  if (!head.equals(magic) || !lastMagic.equals(magic)) {
    throw new Error(`it doesn't begin and end with ${magic.toString()}: it is cut short, or something else`);
  }
  const length = tail.readUInt32LE();
  const dataEnd = size - tailLength - length;
  if (dataEnd < magic.length) throw new Error(`its footer of ${length} bytes is longer than the file`);
  return { footer: await readFully(source, Buffer.alloc(length), dataEnd), dataEnd };
}

async function copy(
  source: FileHandle,
  { from, to, target, buffer }: { from: number; to: number; target: FileHandle; buffer: Buffer },
): Promise<void> {
  for (let position = from; position < to; position += buffer.length) {
    const piece = buffer.subarray(0, to - position);
    await target.appendFile(await readFully(source, piece, position));
  }
}

async function readFully(source: FileHandle, buffer: Buffer, position: number): Promise<Buffer> {
  for (let filled = 0; filled < buffer.length;) {
    const { bytesRead } = await source.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) throw new Error('a file ended while it was read');
    filled += bytesRead;
  }
  return buffer;
}

interface Placement {
  path: string;
  /** Where the data end in the file they come from. */
  dataEnd: number;
  /** Bytes by which the data are further back in the new file. */
  movedBy: number;
}

/** A footer that grows file by file. What it holds is encoded, and so no larger than what is written in the end. */
class MergedFooter {
  #first: { path: string; fields: ThriftField[] } | undefined;
  readonly #rowGroups: Buffer[] = [];
  #rows = 0n;

  add(footer: Buffer, { path, dataEnd, movedBy }: Placement): void {
    const fields = decodeStruct(footer);
    refuse(fields, [fileMetaData.encryption, fileMetaData.signingKey], 'it is encrypted or signed');
    refuse(fields, [fileMetaData.extension], 'its footer has an extension, which may hold offsets');
    this.#first ??= { path, fields };
    expectSame(fields, this.#first);
    this.#rows += decodeInteger(valueOf(fields, fileMetaData.rows));
    const shift = shiftOffsets(dataEnd, movedBy);
    for (const item of decodeList(valueOf(fields, fileMetaData.rowGroups)).items) {
      this.#rowGroups.push(moveRowGroup(item, shift, this.#rowGroups.length));
    }
  }

  encode(): Buffer {
    return rewriteFields(this.#first?.fields ?? [], {
      [fileMetaData.rows]: () => encodeInteger(this.#rows),
      [fileMetaData.rowGroups]: () => encodeList({ type: thriftType.struct, items: this.#rowGroups }),
    });
  }
}

function moveRowGroup(bytes: Buffer, shift: Rewrite, ordinal: number): Buffer {
  const moveMetaData: Rewrite = (metaData) =>
    rewrite(metaData, {
      [columnMetaData.dataPage]: shift,
      [columnMetaData.indexPage]: shift,
      [columnMetaData.dictionaryPage]: shift,
      [columnMetaData.bloomFilter]: shift,
    });
  const moveColumn = (column: Buffer): Buffer => {
    const fields = decodeStruct(column);
    refuse(fields, [columnChunk.crypto, columnChunk.encryptedMetaData], 'it is encrypted');
    refuse(fields, [columnChunk.filePath], 'it has columns in other files');
    return rewriteFields(fields, {
      ...withoutPageIndexes,
      // Deprecated: where a copy of the metadata is. Such a copy would have the old offsets; 0 says there is none.
      [columnChunk.fileOffset]: () => encodeInteger(0n),
      [columnChunk.metaData]: moveMetaData,
    });
  };
  return rewrite(bytes, {
    [rowGroup.columns]: (columns) => {
      const { type, items } = decodeList(columns);
      return encodeList({ type, items: items.map(moveColumn) });
    },
    [rowGroup.fileOffset]: shift,
    // Optional, and of 16 bits: with more row groups than that, they are numbered by their order alone.
    [rowGroup.ordinal]: () => (ordinal > maxOrdinal ? undefined : encodeInteger(BigInt(ordinal))),
  });
}

/** Adds `movedBy` to an offset. 0, where the magic bytes are, stands for none. */
function shiftOffsets(dataEnd: number, movedBy: number): Rewrite {
  return (value) => {
    const offset = decodeInteger(value);
    if (offset === 0n) return value;
    if (offset < magic.length || offset >= dataEnd) {
      throw new Error(`its footer points to byte ${offset}, but the data are bytes ${magic.length} to ${dataEnd}`);
    }
    return encodeInteger(offset + BigInt(movedBy));
  };
}

/** Whatever is said about the file as a whole must hold for all of them. Who wrote it is the first one's word. */
function expectSame(fields: readonly ThriftField[], first: { path: string; fields: readonly ThriftField[] }): void {
  const own = new Set([fileMetaData.rows, fileMetaData.rowGroups, fileMetaData.createdBy]);
  for (const id of new Set([...first.fields, ...fields].map((field) => field.id))) {
    if (own.has(id)) continue;
    const [one, other] = [first.fields, fields].map((list) => list.find((field) => field.id === id));
    if (one !== undefined && other !== undefined && one.type === other.type && one.value.equals(other.value)) continue;
    const what = id === fileMetaData.schema ? 'schema' : `footer's field ${id}`;
    throw new Error(`its ${what} differs from that of ${first.path}`);
  }
}
