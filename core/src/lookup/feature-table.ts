import type { Redis } from 'ioredis';
import type { Feature, RiskModel } from '../riskmodel/zz_generated.riskmodel.ts';

/**
 * What the keys of a model's feature store begin with, before the record's identifier; undefined when the manifest has
 * no `online.features`.
 *
 * @param redisPrefix separates installations that share a Redis
 */
export function featureKeyPrefix({ metadata, spec }: RiskModel, redisPrefix: string): string | undefined {
  const store = spec.online.features;
  if (store === undefined) return undefined;
  return store.redis.keyPrefix ?? `${redisPrefix}:features:${metadata.name}:`;
}

/** Features of some records, one list of values for each record; null takes a value away. */
export interface FeatureGroup {
  ids: readonly string[];
  names: readonly string[];
  values: readonly (readonly (number | null)[])[];
}

/** A model's feature store: a Redis hash for each record, with a field for each feature and its value as text. */
export class FeatureTable {
  readonly #redis: Redis;
  readonly #keyPrefix: string;

  constructor(redis: Redis, keyPrefix: string) {
    this.#redis = redis;
    this.#keyPrefix = keyPrefix;
  }

  /** The texts of some features of a record; null where there is none, and for all of a record that there is not. */
  read(id: string, names: readonly string[]): Promise<(string | null)[]> {
    return this.#redis.hmget(this.#keyPrefix + id, ...names);
  }

  /** Writes features, and leaves the others of the same records alone; the same again changes nothing. */
  async write({ ids, names, values }: FeatureGroup): Promise<void> {
    const pipeline = this.#redis.pipeline();
    for (const [index, id] of ids.entries()) {
      const key = this.#keyPrefix + id;
      const present: string[] = [];
      const absent: string[] = [];
      for (const [column, name] of names.entries()) {
        const value = values[index]?.[column] ?? null;
        if (value === null) absent.push(name);
        // The shortest text that reads back as the same double.
        else present.push(name, String(value));
      }
      if (present.length > 0) pipeline.hset(key, ...present);
      if (absent.length > 0) pipeline.hdel(key, ...absent);
    }
    for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
  }
}

/**
 * A feature's value as a request would have it, of the text in the store: a number, or true or false where the feature
 * is Boolean. Text that is neither stays as it is, for the encoder to refuse.
 */
export function featureOfText({ type }: Feature, text: string): number | boolean | string {
  const trimmed = text.trim();
  if (type === 'Boolean' && /^(true|false)$/i.test(trimmed)) return trimmed.toLowerCase() === 'true';
  // Number() takes hexadecimal digits and no text at all too.
  const number = /^[-+.\deE]+$/.test(trimmed) ? Number(trimmed) : Number.NaN;
  return Number.isNaN(number) ? text : number;
}
