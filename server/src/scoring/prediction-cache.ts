import { hash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** What became of asking the cache for one row. */
export type CacheResult = 'hit' | 'miss' | 'error';

/** The commands of Redis that the cache uses, on a connection that answers soon or fails. */
export type CacheRedis = Pick<Redis, 'status' | 'getBuffer' | 'mgetBuffer' | 'set' | 'pipeline'>;

const entryBytes = 8;
/** After a failure the cache is not asked for this long, so that a Redis that hangs delays few requests, not all. */
const restMilliseconds = 1_000;

/**
 * Probabilities by the model's digest and the encoded row, in Redis, for a short time. An entry is the two float32 as
 * they left the model, so a cached answer has the same bits. Whatever is wrong with Redis is a miss and no more: the
 * cache makes things faster or does nothing.
 */
export class PredictionCache {
  readonly #redis: CacheRedis;
  readonly #keyPrefix: string;
  readonly #ttl: number;
  readonly #onResult: (result: CacheResult, rows: number) => void;
  #restsUntil = 0;

  /**
   * @param options.prefix separates installations that share a Redis
   * @param options.sha256 the artifact's digest: another model never sees this one's answers
   * @param options.ttl milliseconds that an answer is kept
   */
  constructor(
    redis: CacheRedis,
    options: {
      prefix: string;
      sha256: string;
      ttl: number;
      onResult?: (result: CacheResult, rows: number) => void;
    },
  ) {
    this.#redis = redis;
    this.#keyPrefix = `${options.prefix}:prediction:${options.sha256}:`;
    this.#ttl = options.ttl;
    this.#onResult = options.onResult ?? (() => {});
  }

  /**
   * The keys of the rows of a `[rows, width]` matrix; undefined when Redis is away, or has just failed, and asking is not worth
   * the hashing.
   */
  keys(matrix: Float32Array, rows: number): string[] | undefined {
    if (this.#redis.status !== 'ready' || performance.now() < this.#restsUntil) {
      this.#onResult('error', rows);
      return undefined;
    }
    const rowBytes = matrix.byteLength / rows;
    const keys: string[] = [];
    for (let row = 0; row < rows; row++) {
      const bytes = new Uint8Array(matrix.buffer, matrix.byteOffset + row * rowBytes, rowBytes);
      keys.push(this.#keyPrefix + hash('sha256', bytes, 'base64url'));
    }
    return keys;
  }

  /** Fills the rows that are cached into `probabilities` (`[rows, 2]`) and returns the indexes of those that are not. */
  async read(keys: readonly string[], probabilities: Float32Array): Promise<number[]> {
    let entries: (Buffer | null)[];
    try {
      entries =
        keys.length === 1 ? [await this.#redis.getBuffer(keys[0] as string)] : await this.#redis.mgetBuffer(...keys);
    } catch {
      this.#restsUntil = performance.now() + restMilliseconds;
      this.#onResult('error', keys.length);
      return [...keys.keys()];
    }
    const missing: number[] = [];
    let errors = 0;
    for (let row = 0; row < keys.length; row++) {
      const entry = entries[row] ?? null;
      if (entry !== null && decode(entry, probabilities, row)) continue;
      if (entry !== null) errors++;
      missing.push(row);
    }
    const hits = keys.length - missing.length;
    if (hits > 0) this.#onResult('hit', hits);
    if (errors > 0) this.#onResult('error', errors);
    if (missing.length > errors) this.#onResult('miss', missing.length - errors);
    return missing;
  }

  /** Stores the rows at `indexes`; nobody waits for it, and a failure only means a miss later. */
  write(keys: readonly string[], indexes: readonly number[], probabilities: Float32Array): void {
    const [first] = indexes;
    if (first === undefined) return;
    if (indexes.length === 1) {
      this.#redis.set(keys[first] as string, encode(probabilities, first), 'PX', this.#ttl).catch(() => {});
      return;
    }
    const pipeline = this.#redis.pipeline();
    for (const row of indexes) pipeline.set(keys[row] as string, encode(probabilities, row), 'PX', this.#ttl);
    pipeline.exec().catch(() => {});
  }
}

function encode(probabilities: Float32Array, row: number): Buffer {
  const entry = Buffer.allocUnsafe(entryBytes);
  entry.writeFloatLE(probabilities[row * 2] as number, 0);
  entry.writeFloatLE(probabilities[row * 2 + 1] as number, 4);
  return entry;
}

/** False for bytes that no model wrote: then the row is scored as if there were no entry. */
function decode(entry: Buffer, probabilities: Float32Array, row: number): boolean {
  if (entry.length !== entryBytes) return false;
  const zero = entry.readFloatLE(0);
  const one = entry.readFloatLE(4);
  if (!(zero >= 0 && one >= 0 && Math.abs(zero + one - 1) < 1e-3)) return false;
  probabilities[row * 2] = zero;
  probabilities[row * 2 + 1] = one;
  return true;
}
