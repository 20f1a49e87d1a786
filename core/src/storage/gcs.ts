import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Storage, type File, type FileMetadata } from '@google-cloud/storage';
import { PassThroughClient } from 'google-auth-library';
import { within } from '../within.ts';
import { crc32cOfFile } from './crc32c.ts';
import { isTransient, statusOf, storageError, type StoragePermission } from './gcs-errors.ts';
import { readBytes } from './gcs-read.ts';
import {
  inputChanged,
  objectNotFound,
  parseGsUri,
  type LocalCopy,
  type ObjectInfo,
  type ObjectStore,
} from './object-store.ts';
import { defaultRetry, withRetries, type RetrySettings } from './retry.ts';

export interface GcsStoreOptions {
  /** The project of the client; objects are found by their buckets alone. */
  project?: string | undefined;
  /** Another address than Google's. One over plain http is an emulator, which is sent no credentials. */
  endpoint?: string | undefined;
  /** A folder for local copies of objects. */
  tempDir: string;
  retry?: RetrySettings;
  /** Milliseconds that a call may take to answer, and a body to go on. */
  deadline?: number;
}

/** Up to this many bytes a file is uploaded by one request; beyond, by a resumable upload. */
const largestSimpleUpload = 8 << 20;
/** The slowest upload that is waited for, in bytes a millisecond. */
const slowestUpload = 250;
const objectsInAPage = 1_000;
/** The key of an object's metadata that tells which upload made it. */
const uploadKey = 'riskmodel-upload';

/**
 * Object storage in Google Cloud Storage. Credentials are the environment's (Application Default Credentials, so
 * Workload Identity on GKE); there are no key files.
 *
 * Every call is made again, with growing pauses, when its failure may pass: each is idempotent, since reads are pinned to
 * a generation and uploads are refused where there is an object. The client's own retries are off: it switches them off
 * and on for all calls at once, and knows fewer failures that pass.
 *
 * Beyond the interface's errors: `PermissionDenied`, `BucketNotFound`, `StorageUnavailable` (may pass), `StorageRefused`.
 */
export class GcsStore implements ObjectStore {
  readonly isLocal: boolean = false;
  readonly #storage: Storage;
  readonly #tempDir: string;
  readonly #retry: RetrySettings;
  readonly #deadline: number;

  constructor({ project, endpoint, tempDir, retry = defaultRetry, deadline = 60_000 }: GcsStoreOptions) {
    const isEmulator = endpoint?.startsWith('http://') === true;
    const options = {
      ...(project !== undefined && { projectId: project }),
      ...(endpoint !== undefined && { apiEndpoint: endpoint, useAuthWithCustomEndpoint: !isEmulator }),
      ...(isEmulator && { authClient: new PassThroughClient() }),
    };
    this.#storage = new Storage({ ...options, retryOptions: { autoRetry: false, retryableErrorFn: () => false } });
    this.#tempDir = tempDir;
    this.#retry = retry;
    this.#deadline = deadline;
  }

  async stat(uri: string): Promise<ObjectInfo | undefined> {
    const file = this.#file(uri);
    return this.#call(uri, 'storage.objects.get', async () => {
      const [metadata] = await orNotFound(file.getMetadata(), [undefined]);
      return metadata === undefined ? undefined : infoOf(uri, metadata);
    });
  }

  async read(object: ObjectInfo, range: { start?: number; end?: number } = {}): Promise<Readable> {
    const start = range.start ?? 0;
    const end = Math.min(range.end ?? object.size, object.size);
    const file = this.#file(object.uri, object.generation);
    if (start >= end) return Readable.from([]);
    const bytes = readBytes(file, { object, start, end, deadline: this.#deadline, retry: this.#retry });
    try {
      // What goes wrong at the start is told now, not when somebody reads.
      const first = await bytes.next();
      return Readable.from(prepend(first, bytes), { objectMode: false, highWaterMark: 1 << 20 });
    } catch (error) {
      throw await this.#readError(error, object);
    }
  }

  async openLocal(object: ObjectInfo): Promise<LocalCopy> {
    await this.assertUnchanged(object);
    const path = join(this.#tempDir, `object-${randomUUID()}`);
    try {
      await pipeline(await this.read(object), createWriteStream(path));
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return { path, release: () => rm(path, { force: true }) };
  }

  async assertUnchanged(object: ObjectInfo): Promise<void> {
    const current = await this.stat(object.uri);
    if (current?.generation !== object.generation) throw inputChanged(object.uri);
  }

  async putFileIfAbsent(uri: string, path: string): Promise<boolean> {
    const { size } = await stat(path);
    const crc32c = await crc32cOfFile(path);
    const upload = randomUUID();
    const deadline = this.#deadline + Math.ceil(size / slowestUpload);
    const put = async (): Promise<boolean> => {
      try {
        await this.#upload(uri, path, { size, crc32c, upload, deadline });
        return true;
      } catch (error) {
        if (statusOf(error) !== 412) throw error;
        // An attempt whose answer was lost may have put the object that is now in the way.
        return (await this.#uploadOf(uri)) === upload;
      }
    };
    return this.#call(uri, 'storage.objects.create', put, deadline + this.#deadline);
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const { bucket, path } = parseGsUri(prefix, { pathMayBeEmpty: true });
    let pageToken: string | undefined;
    do {
      const query = { prefix: path, autoPaginate: false, maxResults: objectsInAPage, ...(pageToken && { pageToken }) };
      const [files, next] = await this.#call(prefix, 'storage.objects.list', () =>
        orNotFound(this.#storage.bucket(bucket).getFiles(query), [[], null]),
      );
      for (const { name, metadata } of files) yield infoOf(`gs://${bucket}/${name}`, metadata);
      pageToken = (next as { pageToken?: string } | null | undefined)?.pageToken;
    } while (pageToken !== undefined);
  }

  async delete(uri: string): Promise<void> {
    const file = this.#file(uri);
    await this.#call(uri, 'storage.objects.delete', () => orNotFound(file.delete(), undefined));
  }

  #file(uri: string, generation?: string): File {
    const { bucket, path } = parseGsUri(uri);
    return this.#storage.bucket(bucket).file(path, generation === undefined ? {} : { generation });
  }

  async #call<T>(
    uri: string,
    permission: StoragePermission,
    call: () => Promise<T>,
    deadline = this.#deadline,
  ): Promise<T> {
    try {
      return await withRetries(() => within(deadline, call()), isTransient, this.#retry);
    } catch (error) {
      throw storageError(error, uri, permission);
    }
  }

  async #readError(error: unknown, object: ObjectInfo): Promise<unknown> {
    const status = statusOf(error);
    if (status !== 404 && status !== 412 && status !== 416)
      return storageError(error, object.uri, 'storage.objects.get');
    return (await this.stat(object.uri)) === undefined ? objectNotFound(object.uri) : inputChanged(object.uri);
  }

  /** One attempt. Its status is 412 when there is an object already. */
  async #upload(
    uri: string,
    path: string,
    { size, crc32c, upload, deadline }: { size: number; crc32c: string; upload: string; deadline: number },
  ): Promise<void> {
    const { bucket, path: name } = parseGsUri(uri);
    const target = this.#storage
      .bucket(bucket)
      .file(name)
      .createWriteStream({
        resumable: size > largestSimpleUpload,
        // Google compares what comes with the checksum in the metadata before there is an object.
        validation: false,
        preconditionOpts: { ifGenerationMatch: 0 },
        metadata: {
          contentType: 'application/octet-stream',
          contentLength: size,
          crc32c,
          metadata: { [uploadKey]: upload },
        },
      });
    let hasSession = false;
    target.once('uri', () => (hasSession = true));
    try {
      await pipeline(createReadStream(path), target, { signal: AbortSignal.timeout(deadline) });
    } catch (cause) {
      // Of a session, 404 and 410 say that it is no more, and the upload is to be started anew.
      if (!hasSession || ![404, 410].includes(statusOf(cause) ?? 0)) throw cause;
      throw new Error('the upload session has ended', { cause });
    }
  }

  async #uploadOf(uri: string): Promise<unknown> {
    const [metadata] = await orNotFound(this.#file(uri).getMetadata(), [undefined]);
    return metadata?.metadata?.[uploadKey];
  }
}

async function* prepend<T>(first: IteratorResult<T>, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  if (first.done !== true) yield first.value;
  yield* rest;
}

function infoOf(uri: string, { generation, size, crc32c }: FileMetadata): ObjectInfo {
  return { uri, generation: String(generation), size: Number(size), ...(crc32c !== undefined && { crc32c }) };
}

/** The answer, or another value when there is no such object, or bucket. */
async function orNotFound<T, U>(answer: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await answer;
  } catch (error) {
    if (statusOf(error) === 404) return otherwise;
    throw error;
  }
}
