import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { LocalCopy, ObjectInfo, ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { magic } from '@riskmodel/core/warehouse/parquet-structure.ts';
import { readFooter, type ParquetFooter, type RowGroup } from './parquet-footer.ts';

/** A local Parquet file of some of an object's row groups. */
export interface ParquetPart extends LocalCopy {
  /** The place in the object of the file's first record. */
  firstRecord: number;
}

/** A range of records, or row groups; `end` is exclusive. */
export interface Range {
  start: number;
  end: number;
}

/**
 * Brings the row groups that hold some records to this machine, and nothing else of the object: into a file with holes
 * where the others would be, and a footer that does not know of them.
 */
export async function fetchPart(
  object: ObjectInfo,
  records: Range,
  { store, tempDir }: { store: ObjectStore; tempDir: string },
): Promise<ParquetPart> {
  const footer = await readFooter(object, store);
  const { groups, firstRecord } = groupsOf(footer.rowGroups, records);
  const part = await writePart(object, footer, groups, { store, tempDir });
  return { ...part, firstRecord };
}

/** A local Parquet file that has an object's columns, and no rows. */
export function fetchSchema(
  object: ObjectInfo,
  footer: ParquetFooter,
  tools: { store: ObjectStore; tempDir: string },
): Promise<LocalCopy> {
  return writePart(object, footer, { start: 0, end: 0 }, tools);
}

async function writePart(
  object: ObjectInfo,
  footer: ParquetFooter,
  groups: Range,
  { store, tempDir }: { store: ObjectStore; tempDir: string },
): Promise<LocalCopy> {
  const path = join(tempDir, `part-${randomUUID()}.parquet`);
  const copy = { path, release: () => rm(path, { force: true }) };
  try {
    const file = await open(path, 'wx');
    try {
      await file.write(magic, 0, magic.length, 0);
      const end = footer.endOfPart(groups.start, groups.end);
      await file.write(end, 0, end.length, footer.dataEnd);
    } finally {
      await file.close();
    }
    const kept = footer.rowGroups.slice(groups.start, groups.end);
    if (kept.length > 0) {
      const bytes = {
        start: Math.min(...kept.map(({ start }) => start)),
        end: Math.max(...kept.map(({ end }) => end)),
      };
      await pipeline(
        await store.read(object, bytes),
        createWriteStream(path, { flags: 'r+', start: bytes.start, highWaterMark: 1 << 20 }),
      );
    }
    return copy;
  } catch (error) {
    await copy.release();
    throw error;
  }
}

/** The row groups that hold some records, and the place of the first record in them. */
export function groupsOf(rowGroups: readonly RowGroup[], records: Range): { groups: Range; firstRecord: number } {
  let at = 0;
  let firstRecord = 0;
  const groups = { start: 0, end: 0 };
  for (const [index, group] of rowGroups.entries()) {
    if (at + group.records <= records.start) {
      groups.start = index + 1;
      firstRecord = at + group.records;
    }
    if (at < records.end) groups.end = index + 1;
    at += group.records;
  }
  return { groups, firstRecord };
}

export interface CutLimits {
  /** Records of a chunk, where row groups do not suggest otherwise. */
  chunkRows: number;
  /** Bytes of a chunk when it is decompressed. */
  chunkBytes: number;
  /** Bytes of a record at least. */
  leastRecordBytes: number;
}

/** A chunk may be so many times as long as asked for, when it is a whole row group then. */
const longerByGroup = 4;

/**
 * Cuts a file into chunks along its row groups, so that no two workers fetch the same one: small ones are put together,
 * and those that are several times larger than a chunk should be are cut into equal parts.
 */
export function cutByRowGroups(rowGroups: readonly RowGroup[], limits: CutLimits): Range[] {
  const chunks: Range[] = [];
  let at = 0;
  for (const group of rowGroups) {
    if (group.records === 0) continue;
    const recordBytes = Math.max(group.bytes / group.records, limits.leastRecordBytes);
    const mostRows = Math.max(1, Math.floor(limits.chunkBytes / recordBytes));
    const last = chunks.at(-1);
    if (last !== undefined && at + group.records - last.start <= Math.min(limits.chunkRows, mostRows)) {
      last.end += group.records;
    } else {
      const parts = Math.ceil(group.records / Math.min(limits.chunkRows * longerByGroup, mostRows));
      for (let part = 0; part < parts; part++) {
        chunks.push({
          start: at + Math.floor((group.records * part) / parts),
          end: at + Math.floor((group.records * (part + 1)) / parts),
        });
      }
    }
    at += group.records;
  }
  return chunks;
}
