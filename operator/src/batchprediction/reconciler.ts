// A BatchPrediction becomes one batch of its model's queue; from then on the batch's record in Redis is the truth, and
// the status tells it. The cluster's object decides only when the batch starts and whether it is called off.
import { cancellableStates, isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import type {
  BatchPrediction,
  BatchPredictionStatus,
} from '@riskmodel/core/batchprediction/zz_generated.batchprediction.ts';
import { mayPass } from '@riskmodel/core/errors.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { ApplyOptions, DeleteOptions, PatchOptions } from '../kube/client.ts';
import { isNotFound } from '../kube/kube-error.ts';
import { keyOf, type KubeObject, type ObjectRef } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import { fieldManager } from '../riskmodel/applier.ts';
import type { StoreOf } from '../riskmodel/gather.ts';
import { isRedisUnavailable } from '../riskmodel/redis-access.ts';
import { riskModels } from '../riskmodel/resource-types.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Requeue } from '../runtime/controller.ts';
import type { EventRecorder } from '../runtime/event-recorder.ts';
import { batchPredictions } from './resource-type.ts';
import type { Runs } from './runs.ts';
import {
  eventOf,
  hasEnded,
  isSameStatus,
  makeLostStatus,
  makeRefusedStatus,
  makeRunStatus,
  makeWaitingStatus,
  untilExpiry,
} from './status.ts';

/** Keeps an object until its batch is called off. */
export const finalizer = 'riskmodel.io/batch';

/** A run under way is looked at, and written to, no more often. */
export const progressMs = 2_000;
/** How often it is asked whether a commit that is in the way of a deletion has ended. */
const commitPollMs = 1_000;
/** Redis being away is looked at again. */
const redisBackoff = { baseMs: 500, maxMs: 15_000 };
/** A timer runs for 24 days at most; what is due later is looked at in between. */
const longestWaitMs = 3_600_000;

/** The writes that the reconciler makes. */
export interface RunClient {
  applyStatus(object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  patch(type: ResourceType, ref: ObjectRef, patch: unknown, options: PatchOptions): Promise<KubeObject>;
  delete(type: ResourceType, ref: ObjectRef, options?: DeleteOptions): Promise<boolean>;
}

export interface RunReconcilerDeps {
  client: RunClient;
  storeOf: StoreOf;
  runs: Runs;
  events: Pick<EventRecorder, 'record'>;
  logger: Logger;
  now: () => Date;
}

/** Makes a batch of each BatchPrediction, and tells in its status how far that is. */
export class BatchPredictionReconciler {
  readonly #deps: RunReconcilerDeps;
  /** What was written, until the cache has heard of it. */
  readonly #written = new Map<string, KubeObject>();
  /** When a status was written last, in milliseconds since 1970. */
  readonly #writtenAt = new Map<string, number>();
  /** How often in a row Redis did not answer for an object. */
  readonly #unanswered = new Map<string, number>();

  constructor(deps: RunReconcilerDeps) {
    this.#deps = deps;
  }

  /** To be told of every object that the cache drops. */
  forget({ metadata }: KubeObject): void {
    const key = keyOf(metadata);
    this.#written.delete(key);
    this.#writtenAt.delete(key);
    this.#unanswered.delete(key);
  }

  async reconcile(key: string): Promise<Requeue | undefined> {
    const run = this.#live(key);
    if (run === undefined) return undefined;
    try {
      const requeue = await this.#step(run);
      this.#unanswered.delete(key);
      return requeue;
    } catch (error) {
      // That is told where the connection is kept; here it would be an error of each object, again and again.
      if (isRedisUnavailable(error)) return this.#waitForRedis(key, run, error.message);
      throw error;
    }
  }

  #step(run: BatchPrediction): Promise<Requeue | undefined> {
    if (run.metadata.deletionTimestamp !== undefined) return this.#letGo(run);
    if (hasEnded(run)) return this.#afterEnd(run);
    return run.status?.batchId === undefined ? this.#start(run) : this.#follow(run);
  }

  async #start(run: BatchPrediction): Promise<Requeue | undefined> {
    const { runs, now } = this.#deps;
    if (!this.#hasModel(run)) {
      await this.#writeStatus(run, makeWaitingStatus(run, now()));
      return undefined;
    }
    // Before there is anything to call off.
    const held = await this.#setFinalizer(run, true);
    let batch: Batch;
    try {
      batch = await runs.submit(held);
    } catch (error) {
      if (mayPass(error)) throw error;
      return this.#afterEnd(await this.#writeStatus(held, makeRefusedStatus(error, held, now())));
    }
    return this.#tell(held, batch);
  }

  /** A batch that was started is never started again, whatever became of its record. */
  async #follow(run: BatchPrediction): Promise<Requeue | undefined> {
    const { runs, now } = this.#deps;
    const waitMs = (this.#writtenAt.get(keyOf(run.metadata)) ?? 0) + progressMs - now().getTime();
    if (waitMs > 0) return { requeueAfterMs: waitMs };
    const batch = await runs.get(run);
    if (batch !== undefined) return this.#tell(run, batch);
    return this.#afterEnd(await this.#writeStatus(run, makeLostStatus(run, now())));
  }

  async #tell(run: BatchPrediction, batch: Batch): Promise<Requeue | undefined> {
    const told = await this.#writeStatus(run, makeRunStatus(batch, run, this.#deps.now()));
    return hasEnded(told) ? this.#afterEnd(told) : { requeueAfterMs: progressMs };
  }

  /** There is nothing left to call off, so that its deletion needs nobody; and when its time is over it is deleted. */
  async #afterEnd(run: BatchPrediction): Promise<Requeue | undefined> {
    const { client, now } = this.#deps;
    const freed = await this.#setFinalizer(run, false);
    const waitMs = untilExpiry(freed, now());
    if (waitMs === undefined) return undefined;
    if (waitMs > 0) return { requeueAfterMs: Math.min(waitMs, longestWaitMs) };
    const { uid } = run.metadata;
    await client.delete(batchPredictions, refOf(run), { propagationPolicy: 'Background', preconditions: { uid } });
    return undefined;
  }

  /** Calls the batch off, unless it has ended; one that is being committed is waited for. */
  async #letGo(run: BatchPrediction): Promise<Requeue | undefined> {
    const { runs, logger } = this.#deps;
    if (run.metadata.finalizers?.includes(finalizer) !== true) return undefined;
    const batch = hasEnded(run) ? undefined : await runs.get(run);
    if (batch !== undefined && cancellableStates.includes(batch.state)) {
      // It may begin its commit at this very moment.
      if (!(await runs.cancel(run))) return { requeueAfterMs: commitPollMs };
      logger.info({ batchPrediction: keyOf(run.metadata), batchId: batch.id }, 'batch cancelled');
    } else if (batch !== undefined && !isFinal(batch.state) && this.#hasModel(run)) {
      // Without its model there would be no worker to end it.
      return { requeueAfterMs: commitPollMs };
    }
    await this.#setFinalizer(run, false);
    return undefined;
  }

  #hasModel({ metadata: { namespace = '' }, spec }: BatchPrediction): boolean {
    const model = this.#deps.storeOf(riskModels).get(keyOf({ namespace, name: spec.model }));
    return model !== undefined && model.metadata.deletionTimestamp === undefined;
  }

  /** Writes a status that says something new. Returns the run with it. */
  async #writeStatus(run: BatchPrediction, status: BatchPredictionStatus): Promise<BatchPrediction> {
    if (isSameStatus(run.status, status)) return run;
    const { client, events, now } = this.#deps;
    const { apiVersion, kind, metadata } = run;
    const { uid } = metadata;
    // With the uid it can't become the status of another object of this name.
    const object = { apiVersion, kind, metadata: { ...refOf(run), ...(uid !== undefined && { uid }) }, status };
    const written = await client.applyStatus(object, { fieldManager, force: true });
    this.#writtenAt.set(keyOf(metadata), now().getTime());
    const event = eventOf(run.status, status);
    if (event !== undefined) events.record(written, event);
    return this.#remember(written);
  }

  /** Puts the finalizer on, or takes it off. Returns the run as it then is. */
  async #setFinalizer(run: BatchPrediction, wanted: boolean): Promise<BatchPrediction> {
    const { finalizers = [], resourceVersion } = run.metadata;
    if (finalizers.includes(finalizer) === wanted) return run;
    const others = finalizers.filter((name) => name !== finalizer);
    const metadata = { finalizers: wanted ? [...others, finalizer] : others, resourceVersion };
    try {
      const options = { type: 'merge', fieldManager } as const;
      return this.#remember(await this.#deps.client.patch(batchPredictions, refOf(run), { metadata }, options));
    } catch (error) {
      if (!wanted && isNotFound(error)) return run;
      throw error;
    }
  }

  #remember(object: KubeObject): BatchPrediction {
    this.#written.set(keyOf(object.metadata), object);
    return object as unknown as BatchPrediction;
  }

  /** The newest state known of an object that the cluster has. */
  #live(key: string): BatchPrediction | undefined {
    const cached = this.#deps.storeOf(batchPredictions).get(key);
    const written = this.#written.get(key);
    if (cached !== undefined && written !== undefined && isNewer(written, cached)) {
      return written as unknown as BatchPrediction;
    }
    this.#written.delete(key);
    return cached as unknown as BatchPrediction | undefined;
  }

  /** The status keeps what it said: nothing is known to have changed. */
  #waitForRedis(key: string, run: BatchPrediction, message: string): Requeue {
    const unanswered = (this.#unanswered.get(key) ?? 0) + 1;
    this.#unanswered.set(key, unanswered);
    if (unanswered === 1) {
      this.#deps.events.record(run as unknown as KubeObject, {
        type: 'Warning',
        reason: 'RedisUnavailable',
        action: 'Score',
        note: `${message}: the status stays as it is until it is back`,
      });
    }
    return { requeueAfterMs: backoffMs(unanswered, redisBackoff) };
  }
}

function refOf({ metadata: { namespace = '', name } }: BatchPrediction): { namespace: string; name: string } {
  return { namespace, name };
}

/** Resource versions are numbers that grow, also across objects (KEP-5504). */
function isNewer({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  return BigInt(a.resourceVersion ?? 0) > BigInt(b.resourceVersion ?? 0);
}
