import type { Readable } from 'node:stream';
import { RiskModelError } from '../errors.ts';

/** One version of one object. `generation` changes whenever the content does; `size` is in bytes. */
export interface ObjectInfo {
  uri: string;
  generation: string;
  size: number;
  /** The content's CRC32C as Google writes it (Base64, big-endian), where the store knows it. */
  crc32c?: string;
}

/** A file on this machine that holds an object's content; `release` must be called when done with it. */
export interface LocalCopy {
  path: string;
  release(): Promise<void>;
}

/**
 * Objects by URI (`gs://BUCKET/PATH`), whatever holds them. Every read names the generation it wants: when the object
 * has another one by then, the read fails with the code `InputChanged` instead of mixing two versions.
 */
export interface ObjectStore {
  /** Whether objects are files of this machine, so that `openLocal` copies nothing. */
  readonly isLocal: boolean;
  /** The object's current version, or undefined when there is none. */
  stat(uri: string): Promise<ObjectInfo | undefined>;
  /** The bytes from `start` (inclusive, default 0) to `end` (exclusive, default the object's end). */
  read(object: ObjectInfo, range?: { start?: number; end?: number }): Promise<Readable>;
  /** The whole object as a local file, without a copy where the store is local. */
  openLocal(object: ObjectInfo): Promise<LocalCopy>;
  /** Fails with `InputChanged` when the object's current generation is not the given one. */
  assertUnchanged(object: ObjectInfo): Promise<void>;
  /** Stores a local file (which may be moved away) under the URI unless there is an object already: whether it did. */
  putFileIfAbsent(uri: string, path: string): Promise<boolean>;
  /** The objects whose URIs begin with a prefix such as `gs://BUCKET/FOLDER/`, in the order of their names. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  /** Removes the object; nothing happens when there is none. */
  delete(uri: string): Promise<void>;
}

/**
 * The parts of `gs://BUCKET/PATH`. Throws `InvalidUri` when it is not one.
 * @param options.pathMayBeEmpty for prefixes, of which `gs://BUCKET/` is one
 */
export function parseGsUri(uri: string, { pathMayBeEmpty = false } = {}): { bucket: string; path: string } {
  const match = /^gs:\/\/([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])\/(.*)$/.exec(uri);
  const [, bucket, path] = match ?? [];
  if (bucket === undefined || path === undefined || (path === '' && !pathMayBeEmpty)) {
    throw new RiskModelError('InvalidUri', `not an object's URI: "${uri}"; expected gs://BUCKET/PATH`);
  }
  return { bucket, path };
}

export function inputChanged(uri: string): RiskModelError {
  return new RiskModelError(
    'InputChanged',
    `${uri} was changed while it was being read: nothing was written; submit the batch again for the new content`,
  );
}

export function objectNotFound(uri: string): RiskModelError {
  return new RiskModelError('NotFound', `${uri} does not exist`);
}

/** A local copy of the object's current version. Throws `NotFound` when there is none. */
export async function openCurrent(uri: string, store: ObjectStore): Promise<LocalCopy> {
  const object = await store.stat(uri);
  if (object === undefined) throw objectNotFound(uri);
  return store.openLocal(object);
}
