import type { Redis } from 'ioredis';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { batchIdOf, submitBatch, type BatchRequest } from '@riskmodel/core/batches/queue.ts';
import type { BatchPrediction } from '@riskmodel/core/batchprediction/zz_generated.batchprediction.ts';
import { withQueue, withRedis } from '../riskmodel/redis-access.ts';
import { redisPrefix, type WorkloadSettings } from '../riskmodel/settings.ts';

/** The batches of BatchPredictions. Each method throws `RedisUnavailable`, to be tried later, while Redis is away. */
export interface Runs {
  /** Queues the run's batch, once however often it is called. */
  submit(run: BatchPrediction): Promise<Batch>;
  /** The run's batch, also when its id is not in the status yet; undefined when there is no record of one. */
  get(run: BatchPrediction): Promise<Batch | undefined>;
  /** Calls the run's batch off; false when it has ended or is being committed. */
  cancel(run: BatchPrediction): Promise<boolean>;
}

/** Another object of the same name is another run. */
export function requestOf({ metadata, spec }: BatchPrediction): BatchRequest {
  const { namespace = '', name, uid = '' } = metadata;
  const { model, action, input } = spec;
  return {
    model,
    ...(action === 'LoadFeatures' && { action }),
    input: input.uri,
    format: input.format,
    idempotencyKey: `batchprediction/${namespace}/${name}/${uid}`,
  };
}

/** Batches in Redis, where the workers of the run's namespace find them. */
export class RedisRuns implements Runs {
  readonly #redis: Redis;
  readonly #settings: WorkloadSettings;
  readonly #now: () => Date;

  constructor(redis: Redis, settings: WorkloadSettings, now: () => Date) {
    this.#redis = redis;
    this.#settings = settings;
    this.#now = now;
  }

  submit(run: BatchPrediction): Promise<Batch> {
    const address = { model: run.spec.model, prefix: this.#prefix(run) };
    return withQueue(this.#redis, address, (queue) =>
      submitBatch(requestOf(run), { store: this.#store(run), queue, now: this.#now }),
    );
  }

  get(run: BatchPrediction): Promise<Batch | undefined> {
    return withRedis(this.#redis, () => this.#store(run).get(this.#id(run)));
  }

  cancel(run: BatchPrediction): Promise<boolean> {
    return withRedis(this.#redis, () => this.#store(run).cancel(this.#id(run), this.#now().toISOString()));
  }

  #id(run: BatchPrediction): string {
    return run.status?.batchId ?? batchIdOf(requestOf(run), this.#prefix(run));
  }

  #store(run: BatchPrediction): BatchStore {
    return new BatchStore(this.#redis, this.#prefix(run));
  }

  #prefix({ metadata }: BatchPrediction): string {
    return redisPrefix(this.#settings, metadata.namespace ?? 'default');
  }
}
