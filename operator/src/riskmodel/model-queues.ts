import type { Redis } from 'ioredis';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { isFinal } from '@riskmodel/core/batches/batch.ts';
import { openQueue } from '@riskmodel/core/batches/queue.ts';
import type { ModelQueues } from './reconciler.ts';
import { redisPrefix, type WorkloadSettings } from './settings.ts';

/** Batches of one model that are looked at when it is deleted: more than can wait at once in practice. */
const mostBatches = 10_000;

/** The queues of models in Redis, as the operator sees them: something to clean up after a model. */
export class RedisModelQueues implements ModelQueues {
  readonly #redis: Redis;
  readonly #settings: WorkloadSettings;
  readonly #now: () => Date;

  constructor(redis: Redis, settings: WorkloadSettings, now: () => Date) {
    this.#redis = redis;
    this.#settings = settings;
    this.#now = now;
  }

  /**
   * Calls off the model's batches that are not being committed, and takes its schedules and waiting jobs out of Redis.
   * A batch in the middle of its commit is left to the worker that is at it.
   */
  async remove(model: string, namespace: string): Promise<void> {
    const prefix = redisPrefix(this.#settings, namespace);
    const batches = new BatchStore(this.#redis, prefix);
    const finishedAt = this.#now().toISOString();
    for (const { id, state } of await batches.list({ model, limit: mostBatches })) {
      if (!isFinal(state)) await batches.cancel(id, finishedAt);
    }
    const queue = openQueue(model, this.#redis, prefix);
    try {
      for (const { key } of await queue.getJobSchedulers()) await queue.removeJobScheduler(key);
      await queue.drain(true);
    } finally {
      await queue.close();
    }
  }
}
