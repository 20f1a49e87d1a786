import type { Redis } from 'ioredis';
import type { TriggerRules } from './triggers.ts';

/**
 * The triggers of models, in Redis, for servers to read: what starts a model's batches is no part of the revision that
 * they serve.
 */
export class TriggerRegistry {
  readonly #redis: Redis;
  readonly #key: string;

  /** @param prefix the BatchStore's */
  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#key = `${prefix}:triggers`;
  }

  /** A model's rules; without triggers when it has none, or is not known. */
  async get(model: string): Promise<TriggerRules> {
    const text = await this.#redis.hget(this.#key, model);
    return text === null ? { triggers: [] } : (JSON.parse(text) as TriggerRules);
  }

  async set(model: string, rules: TriggerRules): Promise<void> {
    if (rules.triggers.length === 0) await this.#redis.hdel(this.#key, model);
    else await this.#redis.hset(this.#key, model, JSON.stringify(rules));
  }
}
