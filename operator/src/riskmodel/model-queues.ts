import type { Redis } from 'ioredis';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { isFinal } from '@riskmodel/core/batches/batch.ts';
import { TriggerRegistry } from '@riskmodel/core/batches/trigger-registry.ts';
import { triggerRulesOf } from '@riskmodel/core/batches/triggers.ts';
import { syncSchedules } from '@riskmodel/core/batches/schedules.ts';
import {
  findLoadedArtifact,
  forgetLoadedArtifacts,
  type LoadedArtifact,
} from '@riskmodel/core/serving/loaded-artifact.ts';
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
  /** The triggers that Redis has, as JSON, by the model's uid. */
  readonly #triggers = new Map<string, string>();

  constructor(redis: Redis, settings: WorkloadSettings, now: () => Date) {
    this.#redis = redis;
    this.#settings = settings;
    this.#now = now;
  }

  /** Makes the model's job schedulers those of its spec, and tells what batches it has. */
  async sync(riskModel: RiskModel): Promise<ModelBatches> {
    const { metadata, spec } = riskModel;
    const { name: model, namespace = 'default', uid = '' } = metadata;
    const { schedules } = spec.batch;
    const prefix = redisPrefix(this.#settings, namespace);
    let nextDue: number | undefined;
    if (schedules.length > 0 || !this.#withoutSchedules.has(uid)) {
      nextDue = await withQueue(this.#redis, { model, prefix }, (queue) => syncSchedules(queue, schedules, this.#now));
    }
    if (schedules.length > 0) this.#withoutSchedules.delete(uid);
    else this.#withoutSchedules.add(uid);
    await this.#syncTriggers(riskModel, prefix);
    const batches = new BatchStore(this.#redis, prefix);
    const [newest] = await withRedis(this.#redis, () => batches.list({ model, limit: 1 }));
    return { newest, nextDue };
  }

  loadedArtifact({ metadata }: RiskModel, revision: string): Promise<LoadedArtifact | undefined> {
    const { name: model, namespace = 'default' } = metadata;
    const prefix = redisPrefix(this.#settings, namespace);
    return withRedis(this.#redis, () => findLoadedArtifact(this.#redis, { prefix, model, revision }));
  }

  async #syncTriggers({ metadata, spec }: RiskModel, prefix: string): Promise<void> {
    const { name, uid = '' } = metadata;
    const rules = triggerRulesOf(spec);
    const text = JSON.stringify(rules);
    if (this.#triggers.get(uid) === text) return;
    await withRedis(this.#redis, () => new TriggerRegistry(this.#redis, prefix).set(name, rules));
    this.#triggers.set(uid, text);
  }

  /**
   * Calls off the model's batches that are not being committed, and takes its schedules and waiting jobs out of Redis.
   * A batch in the middle of its commit is left to the worker that is at it.
   */
  async remove({ metadata }: RiskModel): Promise<void> {
    const { name: model, namespace = 'default', uid = '' } = metadata;
    const prefix = redisPrefix(this.#settings, namespace);
    await withQueue(this.#redis, { model, prefix }, async (queue) => {
      // First, as a schedule that comes up, or a file, would start another batch.
      await new TriggerRegistry(this.#redis, prefix).set(model, { triggers: [] });
      for (const { key } of await queue.getJobSchedulers()) await queue.removeJobScheduler(key);
      const batches = new BatchStore(this.#redis, prefix);
      const finishedAt = this.#now().toISOString();
      for (const { id, state } of await batches.list({ model, limit: mostBatches })) {
        if (!isFinal(state)) await batches.cancel(id, finishedAt);
      }
      await queue.drain(true);
    });
    await withRedis(this.#redis, () => forgetLoadedArtifacts(this.#redis, { prefix, model }));
    this.#withoutSchedules.delete(uid);
    this.#triggers.delete(uid);
  }
}
