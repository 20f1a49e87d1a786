import { timingSafeEqual } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hashApiKey } from '@riskmodel/core/access/api-key.ts';
import { messageOf, RiskModelError } from '@riskmodel/core/errors.ts';
import { parseApiKeys, type AcceptedKey, type KeyFile } from './api-key-lines.ts';
import type { Caller, Refusal } from './caller.ts';

const pollMilliseconds = 2_000;

export interface ApiKeysOptions {
  /** Told after each reading of files that have changed: how many keys are accepted, or why the old ones stay. */
  onRead: (result: { keys: number } | { error: unknown }) => void;
  pollMilliseconds?: number;
}

/**
 * The API keys that are accepted, read anew within seconds of a change, so that keys are exchanged without a restart.
 * Files that can't be read, or hold a line that is none, leave the keys as they were: half a list would shut callers out.
 */
export class ApiKeys {
  readonly #path: string;
  readonly #onRead: ApiKeysOptions['onRead'];
  /** What was read when keys were last exchanged, or could not be. The time of a change would say less: a mounted Secret's links keep theirs. */
  #settled = '';
  #lastSeen = '';
  #keys: ReadonlyMap<number, readonly AcceptedKey[]> = new Map();
  #timer: NodeJS.Timeout | undefined;

  private constructor(path: string, onRead: ApiKeysOptions['onRead']) {
    this.#path = path;
    this.#onRead = onRead;
  }

  /**
   * @param path a file, or a folder of files (as a Secret is mounted) whose names are the callers of lines without name
   * @throws RiskModelError `InvalidConfig` when there are no keys to begin with, `InvalidApiKeys`
   */
  static async open(path: string, options: ApiKeysOptions): Promise<ApiKeys> {
    const keys = new ApiKeys(path, options.onRead);
    let files: KeyFile[];
    try {
      files = await readKeyFiles(path);
    } catch (cause) {
      throw new RiskModelError('InvalidConfig', `RISKMODEL_API_KEYS_FILE: can't be read: ${messageOf(cause)}`, {
        cause,
      });
    }
    keys.#use(files);
    keys.#watch(options.pollMilliseconds ?? pollMilliseconds);
    return keys;
  }

  /** Who the key belongs to. */
  authenticate(key: string): Caller | Refusal {
    const hash = hashApiKey(key);
    // Finding the few candidates takes a time that tells about four bytes of a hash, which nobody can choose; the
    // comparison itself takes the same time wherever hashes differ.
    for (const candidate of this.#keys.get(hash.readUInt32BE()) ?? []) {
      if (timingSafeEqual(candidate.hash, hash)) return candidate.caller;
    }
    return { refused: 'unknown key' };
  }

  /** Reads the files again. What two readings in a row have found is used: the first may have met half of a file. */
  async check(): Promise<void> {
    let files: KeyFile[] | undefined;
    let seen: string;
    let failure: unknown;
    try {
      files = await readKeyFiles(this.#path);
      seen = JSON.stringify(files);
    } catch (error) {
      failure = error;
      seen = `not read: ${messageOf(error)}`;
    }
    const isSettled = seen === this.#lastSeen;
    this.#lastSeen = seen;
    if (!isSettled || seen === this.#settled) return;
    try {
      if (files === undefined) throw failure;
      this.#use(files);
    } catch (error) {
      // Told once, and not at every reading.
      this.#settled = seen;
      this.#onRead({ error });
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #watch(pause: number): void {
    this.#timer = setTimeout(() => {
      void this.check().then(() => {
        // Unless it was closed meanwhile.
        if (this.#timer !== undefined) this.#watch(pause);
      });
    }, pause).unref();
  }

  #use(files: readonly KeyFile[]): void {
    const keys = parseApiKeys(files);
    this.#keys = Map.groupBy(keys, ({ hash }) => hash.readUInt32BE());
    this.#settled = JSON.stringify(files);
    this.#onRead({ keys: keys.length });
  }
}

async function readKeyFiles(path: string): Promise<KeyFile[]> {
  if (!(await stat(path)).isDirectory()) return [{ path: basename(path), text: await readFile(path, 'utf8') }];
  // A mounted Secret has links to ..data/NAME, and ..data is exchanged as a whole.
  const names = (await readdir(path)).filter((name) => !name.startsWith('.')).toSorted();
  return Promise.all(
    names.map(async (name) => ({ path: name, text: await readFile(join(path, name), 'utf8'), owner: name })),
  );
}
