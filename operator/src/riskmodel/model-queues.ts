import type { Redis } from 'ioredis';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { isFinal } from '@riskmodel/core/batches/batch.ts';
import { syncSchedules } from '@riskmodel/core/batches/schedules.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ModelBatches } from './last-batch.ts';
import type { ModelQueues } from './reconciler.ts';
import { withQueue, withRedis } from './redis-access.ts';
import { redisPrefix, type WorkloadSettings } from './settings.ts';

/** Batches of one model that are looked at when it is deleted: more than can wait at once in practice. */
const mostBatches = 10_000;

/** The queues of models in Redis, as the operator sees them: each throws `RedisUnavailable` while Redis is away. */
export class RedisModelQueues implements ModelQueues {
  readonly #redis: Redis;
  readonly #settings: WorkloadSettings;
  readonly #now: () => Date;
  /** Models that have no schedule, in the spec and in Redis: there is nothing to look at. */
  readonly #withoutSchedules = new Set<string>();

  constructor(redis: Redis, settings: WorkloadSettings, now: () => Date) {
    this.#redis = redis;
    this.#settings = settings;
    this.#now = now;
  }

  /** Makes the model's job schedulers those of its spec, and tells what batches it has. */
  async sync({ metadata, spec }: RiskModel): Promise<ModelBatches> {
    const { name: model, namespace = 'default', uid = '' } = metadata;
    const { schedules } = spec.batch;
    const prefix = redisPrefix(this.#settings, namespace);
    let nextDue: number | undefined;
    if (schedules.length > 0 || !this.#withoutSchedules.has(uid)) {
      nextDue = await withQueue(this.#redis, { model, prefix }, (queue) => syncSchedules(queue, schedules, this.#now));
    }
    if (schedules.length > 0) this.#withoutSchedules.delete(uid);
    else this.#withoutSchedules.add(uid);
    const batches = new BatchStore(this.#redis, prefix);
    const [newest] = await withRedis(this.#redis, () => batches.list({ model, limit: 1 }));
    return { newest, nextDue };
  }

  /**
   * Calls off the model's batches that are not being committed, and takes its schedules and waiting jobs out of Redis.
   * A batch in the middle of its commit is left to the worker that is at it.
   */
  async remove({ metadata }: RiskModel): Promise<void> {
    const { name: model, namespace = 'default', uid = '' } = metadata;
    const prefix = redisPrefix(this.#settings, namespace);
    await withQueue(this.#redis, { model, prefix }, async (queue) => {
      // First, as a schedule that comes up would start another batch.
      for (const { key } of await queue.getJobSchedulers()) await queue.removeJobScheduler(key);
      const batches = new BatchStore(this.#redis, prefix);
      const finishedAt = this.#now().toISOString();
      for (const { id, state } of await batches.list({ model, limit: mostBatches })) {
        if (!isFinal(state)) await batches.cancel(id, finishedAt);
      }
      await queue.drain(true);
    });
    this.#withoutSchedules.delete(uid);
  }
}
