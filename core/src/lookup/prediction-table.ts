import type { Redis } from 'ioredis';
import {
  decodeEntry,
  encodeHead,
  headBytes,
  scoreBytes,
  type PredictionSource,
  type StoredPrediction,
} from './prediction-entry.ts';

/**
 * Writes entries, but none over one that is newer: later by its time or, of the same time, of the batch whose id is the
 * greater one. So the same entries are there in the end in whatever order, and however often, batches are written.
 * KEYS: the records'. ARGV: the head of all entries, their last part, when they expire (milliseconds since 1970), then
 * the records' own parts in one piece.
 */
const writeScript = `
local head, tail, expiry, scores = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local function isNewer(old)
  for i = 1, ${headBytes} do
    local a, b = string.byte(old, i) or 0, string.byte(head, i)
    if a ~= b then return a > b end
  end
  return false
end
for i, key in ipairs(KEYS) do
  local old = redis.call('GET', key)
  if not old or not isNewer(old) then
    local entry = head .. string.sub(scores, (i - 1) * ${scoreBytes} + 1, i * ${scoreBytes}) .. tail
    redis.call('SET', key, entry, 'PXAT', expiry)
  end
end`;

/** Records of one batch: their identifiers, and their parts of the entries as `encodeScore` lays them out. */
export interface PredictionGroup {
  ids: readonly string[];
  scores: Buffer;
}

/** The latest prediction of each record of each model, in Redis, for as long as the manifest's `batch.lookup.ttl`. */
export class PredictionTable {
  readonly #redis: Redis;
  readonly #prefix: string;

  /** `prefix` separates installations that share a Redis. */
  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  #key(model: string, id: string): string {
    return `${this.#prefix}:lookup:${model}:${id}`;
  }

  /** The latest prediction of a record; undefined when there is none, or none any more. */
  async get(model: string, id: string): Promise<StoredPrediction | undefined> {
    const entry = await this.#redis.getBuffer(this.#key(model, id));
    return entry === null ? undefined : decodeEntry(entry);
  }

  /**
   * Writes predictions of a batch, all in one step of Redis: a few thousand at most. Where a record has a newer one, that
   * stays; of two records with one identifier the later one counts.
   *
   * @param ttl milliseconds after the prediction until it expires
   */
  async write(model: string, source: PredictionSource, ttl: number, { ids, scores }: PredictionGroup): Promise<void> {
    const expiry = Date.parse(source.predDatetime) + ttl;
    const keys = ids.map((id) => this.#key(model, id));
    await this.#redis.eval(
      writeScript,
      keys.length,
      ...keys,
      encodeHead(source),
      source.modelVersion,
      String(expiry),
      scores,
    );
  }
}
