import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Batch, BatchState } from '@riskmodel/core/batches/batch.ts';
import type { BatchPrediction } from '@riskmodel/core/batchprediction/zz_generated.batchprediction.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import { keyOf, type KubeObject } from '../kube/object.ts';
import { riskModels } from '../riskmodel/resource-types.ts';
import { makeModel } from '../riskmodel/testing/make-model.ts';
import type { EventInput } from '../runtime/event-recorder.ts';
import { Store } from '../runtime/store.ts';
import { quietLogger } from '../testing/quiet-logger.ts';
import { BatchPredictionReconciler, finalizer } from './reconciler.ts';
import { makeBatch, makeRun } from './testing/make-run.ts';

const key = 'risk/march';

/** A cluster and a Redis that a test turns as it likes. The cache hears of writes only when it is told to. */
class World {
  readonly models = new Store();
  readonly cached = new Store();
  live: BatchPrediction = makeRun();
  state: BatchState | undefined;
  done = 0;
  redis: 'there' | 'away' | 'refuses' = 'there';
  /** What a cancellation comes to. */
  cancels = true;
  nowMs = Date.parse('2025-03-01T10:00:00.000Z');
  readonly log: string[] = [];
  readonly events: EventInput[] = [];
  #version = 10;
  readonly reconciler = new BatchPredictionReconciler({
    client: {
      applyStatus: (object) => {
        this.log.push(`status ${(object['status'] as { state?: string }).state ?? 'none'}`);
        return this.#write({ status: object['status'] as BatchPrediction['status'] });
      },
      patch: (_type, _ref, patch) => {
        const { finalizers } = (patch as BatchPrediction).metadata;
        this.log.push(`finalizers [${finalizers?.join(',')}]`);
        return this.#write({ metadata: { ...this.live.metadata, finalizers } });
      },
      delete: () => {
        this.log.push('delete');
        return Promise.resolve(true);
      },
    },
    storeOf: (type) => (type === riskModels ? this.models : this.cached),
    runs: {
      submit: async () => {
        const batch = await this.#ask(() => {
          this.log.push('submit');
          this.state ??= 'queued';
        });
        return batch as Batch;
      },
      get: () => this.#ask(() => {}),
      cancel: async () => {
        await this.#ask(() => this.log.push('cancel'));
        return this.cancels;
      },
    },
    events: { record: (_object, event) => this.events.push(event) },
    logger: quietLogger().logger,
    now: () => new Date(this.nowMs),
  });

  constructor() {
    this.hear();
  }

  addModel(metadata: { deletionTimestamp?: string } = {}): void {
    this.models.set(makeModel({}, { name: 'credit', ...metadata }) as unknown as KubeObject);
  }

  /** The cache gets to know what was written. */
  hear(): void {
    this.cached.set(this.live as unknown as KubeObject);
  }

  /** Somebody changes the object. */
  change(change: Partial<BatchPrediction>): void {
    void this.#write(change);
    this.hear();
  }

  async reconcile(): Promise<number | undefined> {
    return (await this.reconciler.reconcile(key))?.requeueAfterMs;
  }

  async pass(ms: number): Promise<number | undefined> {
    this.nowMs += ms;
    return this.reconcile();
  }

  #write(change: { [Field in keyof BatchPrediction]?: BatchPrediction[Field] | undefined }): Promise<KubeObject> {
    const merged = { ...this.live, ...change } as BatchPrediction;
    this.live = { ...merged, metadata: { ...merged.metadata, resourceVersion: String(++this.#version) } };
    return Promise.resolve(this.live as unknown as KubeObject);
  }

  async #ask(then: () => void): Promise<Batch | undefined> {
    if (this.redis === 'away')
      throw new RiskModelError('RedisUnavailable', 'Redis does not answer', { retry: 'later' });
    if (this.redis === 'refuses') throw new RiskModelError('IdempotencyKeyReused', 'used before');
    then();
    if (this.state === undefined) return undefined;
    return makeBatch({ state: this.state, rows: { total: 9, done: this.done, failed: 0 }, finishedAt: endOf(this) });
  }
}

function endOf({ state, nowMs }: World): string | null {
  return state === 'done' ? new Date(nowMs).toISOString() : null;
}

let world: World;

beforeEach(() => {
  world = new World();
});

describe('a new run', () => {
  test('waits without a model, says so once, and asks nobody', async () => {
    expect(await world.reconcile()).toBeUndefined();
    expect(await world.reconcile()).toBeUndefined();
    expect(world.log).toEqual(['status none']);
  });

  test('takes a model that is being deleted for none', async () => {
    world.addModel({ deletionTimestamp: '2025-03-01T10:00:00Z' });
    await world.reconcile();
    expect(world.log).toEqual(['status none']);
  });

  test('is held, submitted and told, in this order', async () => {
    world.addModel();
    expect(await world.reconcile()).toBe(2_000);
    expect(world.log).toEqual([`finalizers [${finalizer}]`, 'submit', 'status queued']);
  });

  test('is not submitted again though the cache has not heard of it', async () => {
    world.addModel();
    await world.reconcile();
    expect(await world.pass(500)).toBe(1_500);
    await world.pass(1_500);
    expect(world.log.filter((entry) => entry === 'submit')).toHaveLength(1);
  });

  test('that is refused has failed, and is let go', async () => {
    world.addModel();
    world.redis = 'refuses';
    expect(await world.reconcile()).toBeUndefined();
    expect(world.live.status?.error?.code).toBe('IdempotencyKeyReused');
    expect(world.live.metadata.finalizers).toEqual([]);
  });
});

describe('a run under way', () => {
  beforeEach(async () => {
    world.addModel();
    await world.reconcile();
    world.state = 'scoring';
    world.log.length = 0;
  });

  test('is written to only when there is news', async () => {
    for (let i = 0; i < 3; i++) expect(await world.pass(2_000)).toBe(2_000);
    expect(world.log).toEqual(['status scoring']);
  });

  test('that other changes make due is written to no more often than every 2 s', async () => {
    for (let i = 0; i < 20; i++) {
      world.done = i;
      await world.pass(500);
    }
    expect(world.log).toHaveLength(5);
  });

  test('that is done is let go and kept', async () => {
    world.state = 'done';
    expect(await world.pass(2_000)).toBeUndefined();
    world.hear();
    expect(await world.pass(2_000)).toBeUndefined();
    expect(world.log).toEqual(['status done', 'finalizers []']);
    expect(world.events.map(({ reason }) => reason)).toEqual(['Done']);
  });

  test('whose record is gone has failed, and is not submitted again', async () => {
    world.state = undefined;
    await world.pass(2_000);
    world.hear();
    await world.pass(2_000);
    expect(world.log).toEqual(['status failed', 'finalizers []']);
    expect(world.live.status?.error?.code).toBe('RecordLost');
  });

  test('waits longer and longer for a Redis that is away, and says so once', async () => {
    world.redis = 'away';
    const waits = [await world.pass(2_000)];
    for (let i = 0; i < 6; i++) waits.push(await world.reconcile());
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    expect(world.log).toEqual([]);
    expect(world.events.map(({ reason }) => reason)).toEqual(['RedisUnavailable']);
    world.redis = 'there';
    await world.reconcile();
    expect(world.log).toEqual(['status scoring']);
  });
});

describe('a run that is to be deleted', () => {
  const deleted = { deletionTimestamp: '2025-03-01T10:00:01Z' };

  beforeEach(async () => {
    world.addModel();
    await world.reconcile();
    world.log.length = 0;
    world.change({ metadata: { ...world.live.metadata, ...deleted } });
  });

  test.each<BatchState>(['queued', 'planning', 'scoring'])('is cancelled when it is %s', async (state) => {
    world.state = state;
    expect(await world.reconcile()).toBeUndefined();
    expect(world.log).toEqual(['cancel', 'finalizers []']);
  });

  test('is looked at again when its commit begins just then', async () => {
    world.state = 'scoring';
    world.cancels = false;
    expect(await world.reconcile()).toBe(1_000);
    expect(world.log).toEqual(['cancel']);
  });

  test('waits for the end of its commit', async () => {
    world.state = 'committing';
    expect(await world.reconcile()).toBe(1_000);
    world.state = 'done';
    expect(await world.pass(1_000)).toBeUndefined();
    expect(world.log).toEqual(['finalizers []']);
  });

  test('does not wait for a commit that has no model, and so no worker, to end it', async () => {
    world.state = 'committing';
    world.models.delete('risk/credit');
    await world.reconcile();
    expect(world.log).toEqual(['finalizers []']);
  });

  test.each<BatchState | undefined>(['done', 'failed', 'cancelled', undefined])('goes when it is %s', async (state) => {
    world.state = state;
    await world.reconcile();
    expect(world.log).toEqual(['finalizers []']);
  });
});

test('a run that was queued by an operator that died before it said so is cancelled too', async () => {
  world.addModel();
  world.state = 'scoring';
  world.change({ metadata: { ...world.live.metadata, finalizers: [finalizer], deletionTimestamp: 'now' } });
  await world.reconcile();
  expect(world.log).toEqual(['cancel', 'finalizers []']);
});

describe('a time after the end', () => {
  test.each([
    ['is waited for', 30, 10_000, 20_000, []],
    ['that is long is looked at in between', 5_000_000, 10_000, 3_600_000, []],
    ['that is over ends in deletion', 30, 30_000, undefined, ['delete']],
  ])('%s', async (_, ttlSecondsAfterFinished, passedMs, waitMs, log) => {
    world.change({
      spec: { ...world.live.spec, ttlSecondsAfterFinished },
      status: { state: 'done', finishedAt: new Date(world.nowMs).toISOString() },
    });
    expect(await world.pass(passedMs)).toBe(waitMs);
    expect(world.log).toEqual(log);
  });
});

test('an object that is gone is no work', async () => {
  world.cached.delete(key);
  expect(await world.reconcile()).toBeUndefined();
  expect(keyOf(world.live.metadata)).toBe(key);
});
