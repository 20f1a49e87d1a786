import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { RiskModelError } from '../errors.ts';
import {
  inputChanged,
  objectNotFound,
  parseGsUri,
  type LocalCopy,
  type ObjectInfo,
  type ObjectStore,
} from './object-store.ts';

/** How often a put makes its folder before it gives up: one that is still missing then is no race (a dangling link). */
const putAttempts = 20;

/** Object storage of local mode: bucket B is the folder `ROOT/B`, and `gs://B/x.json` the file `ROOT/B/x.json`. */
export class FolderStore implements ObjectStore {
  readonly isLocal: boolean = true;
  readonly #root: string;

  constructor(root: string) {
    this.#root = resolve(root);
  }

  /** The file that holds, or would hold, the object. */
  pathOf(uri: string): string {
    const { bucket, path } = parseGsUri(uri);
    const folder = join(this.#root, bucket);
    const file = resolve(folder, path);
    if (!file.startsWith(folder + sep) || path.includes('\0')) {
      throw new RiskModelError('InvalidUri', `not an object's URI: "${uri}"; its path leads out of the bucket`);
    }
    return file;
  }

  async stat(uri: string): Promise<ObjectInfo | undefined> {
    const file = this.pathOf(uri);
    const stats = await orAbsent(stat(file, { bigint: true }));
    return stats?.isFile() ? infoOf(uri, stats) : undefined;
  }

  async read(object: ObjectInfo, range: { start?: number; end?: number } = {}): Promise<Readable> {
    const start = range.start ?? 0;
    const end = range.end ?? object.size;
    const handle = await orAbsent(open(this.pathOf(object.uri)));
    if (handle === undefined) throw objectNotFound(object.uri);
    const stats = await handle.stat({ bigint: true });
    if (generationOf(stats) !== object.generation || start >= end) {
      await handle.close();
      if (start >= end) return Readable.from([]);
      throw inputChanged(object.uri);
    }
    return handle.createReadStream({ start, end: end - 1, highWaterMark: 1 << 20 });
  }

  async openLocal(object: ObjectInfo): Promise<LocalCopy> {
    await this.assertUnchanged(object);
    return { path: this.pathOf(object.uri), release: async () => {} };
  }

  async assertUnchanged(object: ObjectInfo): Promise<void> {
    const current = await this.stat(object.uri);
    if (current?.generation !== object.generation) throw inputChanged(object.uri);
  }

  async putFileIfAbsent(uri: string, path: string): Promise<boolean> {
    const target = this.pathOf(uri);
    for (let attempt = 1; ; attempt++) {
      try {
        await mkdir(dirname(target), { recursive: true });
        return await linkIfAbsent(path, target);
      } catch (error) {
        // A folder may have been emptied and removed in between, by whoever deleted the last object beside this one.
        if (!hasCode(error, 'ENOENT') || attempt === putAttempts) throw error;
      }
      // A missing `path` is for the caller to hear of.
      await stat(path);
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const { bucket, path } = parseGsUri(prefix, { pathMayBeEmpty: true });
    if (path !== '') this.pathOf(prefix);
    const folderUri = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    const folder = path.includes('/') ? this.pathOf(folderUri) : join(this.#root, bucket);
    const entries = (await orAbsent(readdir(folder, { recursive: true }))) ?? [];
    const uris = entries.map((name) => `${folderUri}${name.split(sep).join('/')}`);
    for (const uri of uris.filter((candidate) => candidate.startsWith(prefix) && !isDraft(candidate)).toSorted()) {
      const object = await this.stat(uri);
      if (object !== undefined) yield object;
    }
  }

  async delete(uri: string): Promise<void> {
    const file = this.pathOf(uri);
    await orAbsent(rm(file, { force: true }));
    await this.#removeEmptyFolders(dirname(file), join(this.#root, parseGsUri(uri).bucket));
  }

  /** Object stores have no empty folders: an emptied one goes, and so do those above it, up to the bucket's. */
  async #removeEmptyFolders(folder: string, bucket: string): Promise<void> {
    for (let empty = folder; empty !== bucket; empty = dirname(empty)) {
      const removed = await rmdir(empty).then(
        () => true,
        () => false,
      );
      if (!removed) return;
    }
  }
}

/**
 * Makes `path` appear as `target` with its whole content at once, unless `target` is there already: whether it did.
 * A hard link does both; across file systems a copy beside the target is linked instead.
 */
export async function linkIfAbsent(path: string, target: string): Promise<boolean> {
  try {
    return await tryLink(path, target);
  } catch (error) {
    if (!hasCode(error, 'EXDEV', 'EPERM')) throw error;
  }
  // A name of its own: a copy that two wrote to would change under the link that the first one made.
  const copy = join(dirname(target), `.${randomUUID()}.tmp`);
  try {
    await copyFile(path, copy);
    return await tryLink(copy, target);
  } finally {
    await rm(copy, { force: true });
  }
}

/** Whether a name is that of a copy on its way to becoming an object. */
function isDraft(name: string): boolean {
  return /\/\.[0-9a-f-]{36}\.tmp$/.test(name);
}

async function tryLink(path: string, target: string): Promise<boolean> {
  try {
    await link(path, target);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function infoOf(uri: string, stats: BigIntStats): ObjectInfo {
  return { uri, generation: generationOf(stats), size: Number(stats.size) };
}

function generationOf(stats: BigIntStats): string {
  return `${stats.mtimeNs}-${stats.ino}-${stats.size}`;
}

async function orAbsent<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
