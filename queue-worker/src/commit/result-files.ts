import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identifier, literal, type Engine } from '@riskmodel/core/columnar/engine.ts';
import { openCurrent, type LocalCopy, type ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { concatenateParquet } from '@riskmodel/core/warehouse/concatenate-parquet.ts';
import type { Column } from '@riskmodel/core/warehouse/warehouse.ts';
import type { BatchPlan } from '../plan.ts';

export interface ResultFilesTools {
  store: ObjectStore;
  engine: Engine;
  tempDir: string;
}

/** A staged Parquet object and how many rows it has. */
export interface StagedRows {
  uri: string;
  rows: number;
}

/** Rows after which another file begins, give or take a chunk. */
const rowsInAFile = 1_000_000;

const extensions = { Parquet: 'parquet', CSV: 'csv', NDJSON: 'ndjson' } as const;

/** The object that says that a folder is complete, by the name that Hadoop and Spark gave it. */
const completionMark = '_SUCCESS';

/**
 * The files of one batch, in a folder of its own. An object store can't rename a folder, so files get their names as
 * they are written, each whole; that all are there, and which, is said by `_SUCCESS`, which comes last. Names and rows
 * are decided by the staged objects, and what is there stays: written again, the folder comes to the same.
 */
export class ResultFiles {
  /** `gs://BUCKET/FOLDER/MODEL/BATCH_ID/` */
  readonly folder: string;
  readonly #batchId: string;
  readonly #plan: BatchPlan;
  readonly #format: keyof typeof extensions;
  readonly #tools: ResultFilesTools;
  readonly #files: { name: string; rows: number }[] = [];

  constructor(uri: string, batchId: string, plan: BatchPlan, tools: ResultFilesTools) {
    const { metadata, spec } = plan.manifest;
    this.folder = `${uri.replace(/\/+$/, '')}/${metadata.name}/${batchId}/`;
    this.#batchId = batchId;
    this.#plan = plan;
    this.#format = spec.batch.output.format;
    this.#tools = tools;
  }

  /** The URI of all files of a kind, as a pattern. */
  locate(kind: string): string {
    return `${this.folder}${kind}-*.${extensions[this.#format]}`;
  }

  /**
   * Writes staged rows, which all have these columns, as files `KIND-00000-of-00002.EXTENSION`.
   * @param staged in the order of the rows
   */
  async write(kind: string, columns: readonly Column[], staged: readonly StagedRows[]): Promise<void> {
    const parts = cut(staged);
    for (const [index, part] of parts.entries()) {
      const name = `${kind}-${fiveDigits(index)}-of-${fiveDigits(parts.length)}.${extensions[this.#format]}`;
      await this.#put(name, (file) => this.#convert(part, columns, file));
      this.#files.push({ name, rows: part.reduce((sum, { rows }) => sum + rows, 0) });
    }
  }

  /** Says that the folder has all that was written. */
  async complete(rows: { done: number; failed: number }): Promise<void> {
    const { manifest, modelVersion, modelSha256, predDatetime } = this.#plan;
    const content = {
      batchId: this.#batchId,
      model: manifest.metadata.name,
      modelVersion,
      modelSha256,
      predDatetime,
      format: this.#format,
      rows,
      files: this.#files,
    };
    await this.#put(completionMark, (file) => writeFile(file, `${JSON.stringify(content, undefined, 1)}\n`));
  }

  async #put(name: string, write: (file: string) => Promise<void>): Promise<void> {
    const { store, tempDir } = this.#tools;
    const uri = this.folder + name;
    // A file that an earlier attempt put need not be made again.
    if ((await store.stat(uri)) !== undefined) return;
    const file = join(tempDir, randomUUID());
    try {
      await write(file);
      await store.putFileIfAbsent(uri, file);
    } finally {
      await rm(file, { force: true });
    }
  }

  async #convert(part: readonly StagedRows[], columns: readonly Column[], file: string): Promise<void> {
    const copies: LocalCopy[] = [];
    try {
      for (const { uri } of part) copies.push(await openCurrent(uri, this.#tools.store));
      const paths = copies.map(({ path }) => path);
      if (this.#format === 'Parquet') {
        await concatenateParquet(paths, file);
        return;
      }
      const options = this.#format === 'CSV' ? 'FORMAT csv, HEADER' : 'FORMAT json';
      const values = columns.map((column) => textValue(column, this.#format)).join(', ');
      const from = `read_parquet([${paths.map(literal).join(', ')}])`;
      await this.#tools.engine.use(async (connection) => {
        await connection.run(`COPY (SELECT ${values} FROM ${from}) TO ${literal(file)} (${options})`);
      });
    } finally {
      await Promise.all(copies.map((copy) => copy.release()));
    }
  }
}

function fiveDigits(value: number): string {
  return String(value).padStart(5, '0');
}

/** Gathers staged objects, which are many and small, into files. */
function cut(staged: readonly StagedRows[]): StagedRows[][] {
  const parts: StagedRows[][] = [];
  let rowsInPart = rowsInAFile;
  for (const object of staged) {
    if (rowsInPart >= rowsInAFile) {
      parts.push([]);
      rowsInPart = 0;
    }
    parts.at(-1)?.push(object);
    rowsInPart += object.rows;
  }
  return parts;
}

function textValue({ name, type }: Column, format: keyof typeof extensions): string {
  const value = identifier(name);
  // As text, a moment would be told in the time zone of the machine.
  if (type === 'TIMESTAMP') return `strftime(timezone('UTC', ${value}), '%Y-%m-%dT%H:%M:%S.%fZ') AS ${value}`;
  // JSON has no NaN and no infinity.
  if (type === 'FLOAT64' && format === 'NDJSON') return `CASE WHEN isfinite(${value}) THEN ${value} END AS ${value}`;
  return value;
}
