import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { literal, type Engine } from '@riskmodel/core/columnar/engine.ts';
import { RiskModelError, messageOf } from '@riskmodel/core/errors.ts';
import { findObjects, namesSeveral } from '@riskmodel/core/storage/object-pattern.ts';
import { objectNotFound, type ObjectInfo, type ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { detectFormat, headLength, isGzip, type InputFormat } from './format.ts';
import { readHeader, type CsvDialect } from './csv-header.ts';
import { invalidParquet, readFooter } from './parquet-footer.ts';
import { cutByRowGroups, fetchSchema } from './parquet-part.ts';
import { ArrayScanner, LineScanner, longestRecord, type OnRecord, type RecordScanner } from './record-scanner.ts';

/** A run of consecutive records that one job scores. */
export interface ChunkRange {
  /** 0 for the first chunk of a batch. */
  index: number;
  /** `record_index` of the first record: its place in the input, counted from 0. */
  firstRecord: number;
  /** The file that the records are in, by its place in the plan, and the first one's place in that file. */
  file: number;
  firstInFile: number;
  records: number;
  /** Text formats: the bytes that hold the records, `end` exclusive. */
  start: number;
  end: number;
}

/** A column of the input as it stands there. */
export interface SourceColumn {
  name: string;
  /** DuckDB's type for Parquet; undefined for text formats, where every value is text at first. */
  type?: string;
}

/** What the input is and how it is cut; the same for every chunk of a batch. */
export interface InputPlan {
  format: InputFormat;
  /** In the order in which their records count. */
  files: InputFile[];
  columns: SourceColumn[];
  records: number;
  chunks: ChunkRange[];
}

/** One of the objects that a batch's records are in. */
export interface InputFile {
  /** The object to read chunks from: the input itself, pinned, or its decompressed copy. */
  object: ObjectInfo;
  csv?: CsvDialect;
}

/** What one of the input's objects is, as if it were all. */
interface FilePlan extends InputFile {
  format: InputFormat;
  columns: SourceColumn[];
  records: number;
  chunks: Omit<ChunkRange, 'file' | 'firstInFile'>[];
}

/** The file that holds a chunk's records. */
export function fileOf(input: Pick<InputPlan, 'files'>, chunk: Pick<ChunkRange, 'file'>): InputFile {
  return input.files[chunk.file] as InputFile;
}

export interface PlanInputOptions {
  store: ObjectStore;
  engine: Engine;
  chunkRows: number;
  /** A folder for temporary files, and where a decompressed copy is put. */
  tempDir: string;
  stagingUri: string;
  /** The input's format, when whoever sent it said so; then its name and first bytes are not asked. */
  format?: InputFormat | undefined;
  /** Columns that records may lack but that are read where a record has them. */
  optionalColumns?: readonly string[];
}

/** The first records of JSON, whose keys become the columns of the batch: so many, and of so many bytes at most. */
const sampledRecords = 1_000;
const sampledBytes = 4 << 20;
/** The bytes of a chunk at most, give or take a record: what bounds a worker's memory when records are large. */
const chunkBytes = 24 << 20;
/** What a value takes in a worker's memory at least. */
const valueBytes = 8;
/** BigQuery's limit on a table's columns. */
const mostColumns = 10_000;
/** The objects of one batch: each is looked into when it is planned, and makes a chunk at least. */
const mostFiles = 10_000;

/**
 * Looks through an input once: finds its objects, its format, its columns and its records, and cuts it into chunks.
 * Memory does not grow with the input.
 *
 * @param uri an object's, or one that names several (see `findObjects`): their records count on from one to the next
 * @throws RiskModelError `NotFound`, `EmptyInput`, `InvalidJson`, `InvalidCsv`, `InvalidParquet`, `RecordTooLong`,
 * `TooManyColumns`, `TooManyFiles`, `MixedFiles`, `InputChanged`
 */
export async function planInput(uri: string, options: PlanInputOptions): Promise<InputPlan> {
  const objects: ObjectInfo[] = [];
  for await (const object of findObjects(uri, options.store)) {
    objects.push(object);
    if (objects.length > mostFiles) throw tooManyFiles(uri);
  }
  if (objects.length === 0) throw namesSeveral(uri) ? nothingMatches(uri) : objectNotFound(uri);
  if (!namesSeveral(uri)) return joinFiles(uri, [await planFile(objects[0] as ObjectInfo, options)], options);
  const files: FilePlan[] = [];
  for (const object of objects.filter(({ size }) => size > 0)) {
    files.push(await planFile(object, options).catch((error: unknown) => Promise.reject(inFile(object.uri, error))));
  }
  return joinFiles(uri, files, options);
}

async function planFile(object: ObjectInfo, options: PlanInputOptions): Promise<FilePlan> {
  const { store } = options;
  const { uri } = object;
  if (object.size === 0) throw emptyInput(uri, 'the file is empty');
  const head = await readHead(object, store);
  const plain = isGzip(head) ? await decompress(object, options) : object;
  const format = options.format ?? detectFormat(uri, plain === object ? head : await readHead(plain, store));
  const plan = format === 'parquet' ? await planParquet(plain, options) : await planText(plain, format, options);
  await store.assertUnchanged(object);
  return plan;
}

/** One input of several files: of one format and with the same columns. Files without a record are left out. */
function joinFiles(uri: string, all: readonly FilePlan[], { optionalColumns = [] }: PlanInputOptions): InputPlan {
  const plans = all.filter(({ records }) => records > 0);
  const [first] = plans;
  if (first === undefined) throw emptyInput(uri, 'it has no records');
  const chunks: ChunkRange[] = [];
  let records = 0;
  for (const [file, plan] of plans.entries()) {
    checkAlike(first, plan, optionalColumns);
    for (const chunk of plan.chunks) {
      const { firstRecord } = chunk;
      chunks.push({
        ...chunk,
        index: chunks.length,
        firstRecord: records + firstRecord,
        file,
        firstInFile: firstRecord,
      });
    }
    records += plan.records;
  }
  const files = plans.map(({ object, csv }) => ({ object, ...(csv !== undefined && { csv }) }));
  return { format: first.format, files, columns: joinColumns(plans), records, chunks };
}

/** JSON's records may lack some columns, so that one file may have them and another not. */
function joinColumns(plans: readonly FilePlan[]): SourceColumn[] {
  const columns = new Map(plans.flatMap((plan) => plan.columns).map((column) => [column.name, column]));
  return [...columns.values()];
}

function checkAlike(first: FilePlan, plan: FilePlan, optionalColumns: readonly string[]): void {
  if (plan.format !== first.format) throw mixedFiles(first, plan, `is ${plan.format}, but`, `is ${first.format}`);
  const isJson = plan.format === 'json' || plan.format === 'ndjson';
  const [columns, expected] = [plan, first].map((file) => describeColumns(file, isJson ? optionalColumns : []));
  const own = columns?.find((column) => !expected?.includes(column));
  if (own !== undefined) throw mixedFiles(first, plan, `has the column ${own}, but`, 'has not');
  const missing = expected?.find((column) => !columns?.includes(column));
  if (missing !== undefined) throw mixedFiles(first, plan, `lacks the column ${missing}, which`, 'has');
  if (isJson || columns?.every((column, index) => column === expected?.[index])) return;
  throw mixedFiles(first, plan, 'has its columns in another order than', '');
}

function describeColumns({ columns }: FilePlan, leftOut: readonly string[]): string[] {
  return columns
    .filter(({ name }) => !leftOut.includes(name))
    .map(({ name, type }) => (type === undefined ? `"${name}"` : `"${name}" (${type})`));
}

function mixedFiles(first: FilePlan, plan: FilePlan, what: string, other: string): RiskModelError {
  return new RiskModelError(
    'MixedFiles',
    `${plan.object.uri} ${what} ${first.object.uri} ${other}`.trimEnd() +
      ': the files of one batch must have the same format and columns',
  );
}

/** An error of one file among several. */
function inFile(uri: string, error: unknown): unknown {
  if (!(error instanceof RiskModelError) || error.message.includes(uri)) return error;
  return new RiskModelError(error.code, `${uri}: ${error.message}`, { retry: error.retry, cause: error });
}

function nothingMatches(uri: string): RiskModelError {
  return new RiskModelError('NotFound', `no object matches ${uri}: are the bucket and the folder right?`);
}

function tooManyFiles(uri: string): RiskModelError {
  return new RiskModelError('TooManyFiles', `${uri} names more than ${mostFiles} objects: take fewer for one batch`);
}

function emptyInput(uri: string, why: string): RiskModelError {
  return new RiskModelError('EmptyInput', `${uri} has nothing to score: ${why}`);
}

function readHead(object: ObjectInfo, store: ObjectStore): Promise<Buffer> {
  return store.read(object, { end: Math.min(object.size, headLength) }).then(buffer);
}

/** Puts the decompressed content beside the batch's chunks, so that several workers can share it. */
async function decompress(object: ObjectInfo, { store, tempDir, stagingUri }: PlanInputOptions): Promise<ObjectInfo> {
  // Named by the input's version, so that planning twice at once finds, or makes, the same object.
  const name = `decompressed-${createHash('sha256').update(`${object.uri} ${object.generation}`).digest('hex').slice(0, 16)}`;
  const uri = `${stagingUri}/${name}`;
  const file = join(tempDir, name);
  try {
    await pipeline(await store.read(object), createGunzip(), createWriteStream(file));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code?.startsWith('Z_') !== true) throw cause;
    throw new RiskModelError('InvalidGzip', `${object.uri} can't be decompressed: ${messageOf(cause)}`, { cause });
  }
  await store.putFileIfAbsent(uri, file);
  const plain = await store.stat(uri);
  if (plain === undefined) throw objectNotFound(uri);
  if (plain.size === 0) throw emptyInput(object.uri, 'the file is empty once decompressed');
  return plain;
}

async function planParquet(object: ObjectInfo, options: PlanInputOptions): Promise<FilePlan> {
  try {
    return options.store.isLocal ? await planLocalParquet(object, options) : await planRemoteParquet(object, options);
  } catch (cause) {
    if (cause instanceof RiskModelError) throw cause;
    throw invalidParquet(object.uri, firstLine(cause), cause);
  }
}

async function planLocalParquet(object: ObjectInfo, { store, engine, chunkRows }: PlanInputOptions): Promise<FilePlan> {
  const local = await store.openLocal(object);
  try {
    const columns = await describeParquet(local.path, engine);
    const [records, bytes] = await engine.use(async (connection) => {
      const file = literal(local.path);
      const counted = await connection.runAndReadAll(
        `SELECT (SELECT sum(num_rows) FROM parquet_file_metadata(${file}))::DOUBLE,
           (SELECT sum(total_uncompressed_size) FROM parquet_metadata(${file}))::DOUBLE`,
      );
      const [rows, size] = counted.getRows()[0] ?? [];
      return [Number(rows ?? 0), Number(size ?? 0)] as const;
    });
    const recordBytes = Math.max(bytes / records, columns.length * valueBytes);
    const rowsInAChunk = Math.max(1, Math.min(chunkRows, Math.floor(chunkBytes / recordBytes)));
    const chunks: FilePlan['chunks'] = [];
    for (let firstRecord = 0; firstRecord < records; firstRecord += rowsInAChunk) {
      const count = Math.min(rowsInAChunk, records - firstRecord);
      chunks.push({ index: chunks.length, firstRecord, records: count, start: 0, end: 0 });
    }
    return { format: 'parquet', object, columns, records, chunks };
  } finally {
    await local.release();
  }
}

/** By the footer alone. Chunks follow row groups, of which each is fetched whole. */
async function planRemoteParquet(object: ObjectInfo, options: PlanInputOptions): Promise<FilePlan> {
  const { store, engine, chunkRows } = options;
  const footer = await readFooter(object, store);
  const schema = await fetchSchema(object, footer, options);
  try {
    const columns = await describeParquet(schema.path, engine);
    const ranges = cutByRowGroups(footer.rowGroups, {
      chunkRows,
      chunkBytes,
      leastRecordBytes: columns.length * valueBytes,
    });
    const chunks = ranges.map(({ start: firstRecord, end }, index) => {
      return { index, firstRecord, records: end - firstRecord, start: 0, end: 0 };
    });
    return { format: 'parquet', object, columns, records: ranges.at(-1)?.end ?? 0, chunks };
  } finally {
    await schema.release();
  }
}

async function describeParquet(path: string, engine: Engine): Promise<SourceColumn[]> {
  const columns = await engine.use(async (connection) => {
    const described = await connection.runAndReadAll(`DESCRIBE FROM read_parquet(${literal(path)})`);
    return described.getRows().map(([name, type]) => ({ name: String(name), type: String(type) }));
  });
  checkColumns(columns, 'InvalidParquet');
  return columns;
}

async function planText(
  object: ObjectInfo,
  format: Exclude<InputFormat, 'parquet'>,
  { store, chunkRows, optionalColumns = [] }: PlanInputOptions,
): Promise<FilePlan> {
  const header = format === 'csv' ? readHeader(await readUpTo(object, store, longestRecord + 1)) : undefined;
  const offset = header?.end ?? (await byteOrderMarkLength(object, store));
  const cutter = new ChunkCutter(chunkRows);
  const scanner = scannerFor(format, cutter.onRecord, offset);
  for await (const piece of await store.read(object, { start: offset })) scanner.push(piece as Buffer);
  scanner.end();

  const names = header?.columns ?? (await sampleKeys(object, cutter.sample, store));
  // A key that none of the first records has may be in a later one; where they are all there are, it is in none.
  const unseen = header === undefined && cutter.records > cutter.sample.length ? optionalColumns : [];
  const columns = [...names, ...unseen.filter((name) => !names.includes(name))].map((name) => ({ name }));
  checkColumns(columns, format === 'csv' ? 'InvalidCsv' : 'InvalidJson');
  return {
    format,
    object,
    columns,
    ...(header === undefined ? {} : { csv: header.dialect }),
    records: cutter.records,
    chunks: cutter.chunks,
  };
}

function scannerFor(format: Exclude<InputFormat, 'parquet'>, onRecord: OnRecord, offset: number): RecordScanner {
  switch (format) {
    case 'csv':
      return new LineScanner(onRecord, { csv: true, offset });
    case 'ndjson':
      return new LineScanner(onRecord, { csv: false, offset });
    case 'json':
      return new ArrayScanner(onRecord, { offset });
  }
}

/** Gathers records into chunks and remembers where the first ones are. */
class ChunkCutter {
  readonly chunks: FilePlan['chunks'] = [];
  readonly sample: { start: number; end: number }[] = [];
  records = 0;
  readonly #chunkRows: number;

  constructor(chunkRows: number) {
    this.#chunkRows = chunkRows;
  }

  readonly onRecord: OnRecord = (start, end) => {
    if (this.records < sampledRecords && end - (this.sample[0]?.start ?? start) <= sampledBytes) {
      this.sample.push({ start, end });
    }
    let chunk = this.chunks.at(-1);
    if (chunk === undefined || chunk.records === this.#chunkRows || end - chunk.start > chunkBytes) {
      chunk = { index: this.chunks.length, firstRecord: this.records, records: 0, start, end };
      this.chunks.push(chunk);
    }
    chunk.records++;
    chunk.end = end;
    this.records++;
  };
}

async function readUpTo(object: ObjectInfo, store: ObjectStore, length: number): Promise<Buffer> {
  return buffer(await store.read(object, { end: Math.min(object.size, length) }));
}

async function byteOrderMarkLength(object: ObjectInfo, store: ObjectStore): Promise<number> {
  const head = await readUpTo(object, store, 3);
  return head.toString('hex') === 'efbbbf' ? 3 : 0;
}

/** The keys of the first records, in the order in which they first appear. */
async function sampleKeys(
  object: ObjectInfo,
  sample: { start: number; end: number }[],
  store: ObjectStore,
): Promise<string[]> {
  const [first] = sample;
  const last = sample.at(-1);
  if (first === undefined || last === undefined) return [];
  const text = await buffer(await store.read(object, { start: first.start, end: last.end }));
  const names = new Set<string>();
  for (const [index, { start, end }] of sample.entries()) {
    const record = parseObject(text.subarray(start - first.start, end - first.start).toString());
    if (record === undefined) throw invalidRecord(index, start);
    for (const name of Object.keys(record)) names.add(name);
  }
  return [...names];
}

/** A JSON object, or undefined when the text is anything else. V8's own message is not passed on: it quotes the text. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

export function invalidRecord(record: number, start: number): RiskModelError {
  return new RiskModelError('InvalidJson', `not valid JSON: record ${record} (at byte ${start}) is not a JSON object`);
}

function checkColumns(columns: SourceColumn[], code: string): void {
  if (columns.length > mostColumns) {
    throw new RiskModelError(
      'TooManyColumns',
      `the input has ${columns.length} columns; at most ${mostColumns} can be written`,
    );
  }
  const seen = new Map<string, string>();
  for (const { name } of columns) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined) {
      throw new RiskModelError(
        code,
        `the input has the columns "${other}" and "${name}", which a table can't tell apart`,
      );
    }
    seen.set(name.toLowerCase(), name);
  }
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? '';
}
