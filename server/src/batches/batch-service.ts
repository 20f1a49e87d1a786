import { finalStates, type Batch } from '@riskmodel/core/batches/batch.ts';
import type { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import type { TriggerRegistry } from '@riskmodel/core/batches/trigger-registry.ts';
import {
  isInside,
  isTriggeredBy,
  startTriggeredBatch,
  type FinalizedObject,
} from '@riskmodel/core/batches/triggers.ts';
import { submitBatch, type BatchRequest } from '@riskmodel/core/batches/queue.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import { findObjects } from '@riskmodel/core/storage/object-pattern.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { within } from '@riskmodel/core/within.ts';
import type { Queue } from 'bullmq';
import type { QueueDepth } from '../telemetry/metrics.ts';

/** What the routes of batches call. Every call may fail with `BatchServiceUnavailable`, which passes. */
export interface BatchService {
  /** Whether there is an object of this URI, or one that it matches. */
  inputExists(uri: string): Promise<boolean>;
  submit(request: BatchRequest): Promise<Batch>;
  /** Starts the batches that an object is to start, one of each model served at most. */
  startTriggered(object: FinalizedObject): Promise<Batch[]>;
  get(id: string): Promise<Batch | undefined>;
  list(options: { model?: string; limit: number }): Promise<Batch[]>;
  /** Calls the batch off if it still can be, and answers it as it then is; undefined when there is none. */
  cancel(id: string): Promise<Batch | undefined>;
}

/** How long a client is kept waiting for a Redis that does not answer. BullMQ by itself would wait for ever. */
const deadline = 6_000;
/** How long a scrape of the metrics is. */
const scrapeDeadline = 1_000;

/** Batches in Redis: core's store and queues, with every failure of Redis turned into one error. */
export class RedisBatchService implements BatchService {
  readonly #store: BatchStore;
  readonly #queues: ReadonlyMap<string, Queue>;
  readonly #objects: ObjectStore;
  readonly #triggers: TriggerRegistry;
  readonly #stagingUri: string;
  readonly #now: () => Date;

  /** @param options.queues by the model's name, one for each model served */
  constructor(options: {
    store: BatchStore;
    queues: ReadonlyMap<string, Queue>;
    objects: ObjectStore;
    triggers: TriggerRegistry;
    stagingUri: string;
    now: () => Date;
  }) {
    this.#store = options.store;
    this.#queues = options.queues;
    this.#objects = options.objects;
    this.#triggers = options.triggers;
    this.#stagingUri = options.stagingUri;
    this.#now = options.now;
  }

  async inputExists(uri: string): Promise<boolean> {
    for await (const _ of findObjects(uri, this.#objects)) return true;
    return false;
  }

  submit(request: BatchRequest): Promise<Batch> {
    const queue = this.#queues.get(request.model);
    if (queue === undefined) {
      throw new RiskModelError('ModelNotServed', `model "${request.model}" has no batch queue here`);
    }
    return available(submitBatch(request, { store: this.#store, queue, now: this.#now }));
  }

  startTriggered(object: FinalizedObject): Promise<Batch[]> {
    return available(this.#startTriggered(object));
  }

  async #startTriggered(object: FinalizedObject): Promise<Batch[]> {
    if (isInside(this.#stagingUri, object)) return [];
    const started: Batch[] = [];
    for (const [model, queue] of this.#queues) {
      if (!isTriggeredBy(await this.#triggers.get(model), object)) continue;
      started.push(await startTriggeredBatch(model, object, { store: this.#store, queue, now: this.#now }));
    }
    return started;
  }

  get(id: string): Promise<Batch | undefined> {
    return available(this.#store.get(id));
  }

  list(options: { model?: string; limit: number }): Promise<Batch[]> {
    return available(this.#store.list(options));
  }

  async cancel(id: string): Promise<Batch | undefined> {
    const batch = await this.get(id);
    if (batch === undefined || finalStates.includes(batch.state)) return batch;
    await available(this.#store.cancel(id, this.#now().toISOString()));
    return this.get(id);
  }

  async #oldestSeconds(queue: Queue): Promise<number> {
    const [oldest] = await queue.getJobs(['waiting'], 0, 0, true);
    return oldest === undefined ? 0 : Math.max(0, this.#now().getTime() - oldest.timestamp) / 1_000;
  }

  /** The jobs of every queue by state; of none when Redis does not answer soon. */
  async queueDepths(): Promise<QueueDepth[]> {
    const depths = [...this.#queues].map(async ([model, queue]) => ({
      model,
      jobs: await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized', 'waiting-children', 'failed'),
      oldestSeconds: await this.#oldestSeconds(queue),
    }));
    try {
      return await within(scrapeDeadline, Promise.all(depths));
    } catch {
      return [];
    }
  }
}

async function available<T>(answer: Promise<T>): Promise<T> {
  try {
    return await within(deadline, answer);
  } catch (cause) {
    if (cause instanceof RiskModelError || isMistake(cause)) throw cause;
    throw new RiskModelError(
      'BatchServiceUnavailable',
      'Batches are not available at the moment: Redis does not answer',
      {
        retry: 'later',
        cause,
      },
    );
  }
}

/** Errors that the code's author made, which no waiting cures. */
function isMistake(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
