import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FeatureEncoder } from '@riskmodel/core/model/features.ts';
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { makeModel, someFeatures, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';
import { FeatureStore } from './feature-store.ts';

/** As much of a Redis as the feature store uses. */
class StubRedis {
  status = 'ready';
  readonly hashes = new Map<string, Record<string, string>>();
  readonly reads: [key: string, ...names: string[]][] = [];

  async hmget(key: string, ...names: string[]): Promise<(string | null)[]> {
    this.reads.push([key, ...names]);
    if (this.status !== 'ready') throw new Error('Redis is away');
    return names.map((name) => this.hashes.get(key)?.[name] ?? null);
  }
}

let redis: StubRedis;
let app: TestApp;

beforeEach(async () => {
  redis = new StubRedis();
  app = await startTestApp({
    models: [makeModel('credit', new StubSession(4), { hasFeatureStore: true })],
    featuresRedis: redis as unknown as Redis,
  });
  redis.hashes.set('test:features:credit:c1', { AGE: '40', SEX: '2', OWNER: 'true' });
  redis.hashes.set('test:features:credit:7', { AGE: '60', SEX: '1' });
});
afterEach(() => app.close());

async function predict(body: unknown): Promise<{ status: number; body: unknown }> {
  const response = await app.post('/risk-online-prediction', body);
  return { status: response.status, body: await response.json() };
}

/** The first feature over 100 is prob_1. */
const answerFor = (age: number): unknown => [Math.fround(1 - Math.fround(age / 100)), Math.fround(age / 100)];

describe('one record', () => {
  test('has the features that it lacks from the store, by an identifier of text or a whole number', async () => {
    expect(await predict({ customer_id: 'c1' })).toEqual({ status: 200, body: answerFor(40) });
    expect(await predict({ customer_id: 7, OWNER: false })).toEqual({ status: 200, body: answerFor(60) });
  });

  test('keeps its own features: only those that it lacks are asked for, and null is a value that is missing', async () => {
    expect(await predict({ customer_id: 'c1', AGE: 20, INCOME: null })).toEqual({ status: 200, body: answerFor(20) });
    expect(redis.reads).toEqual([['test:features:credit:c1', 'SEX', 'OWNER']]);
    expect(await predict({ customer_id: 'c1', AGE: null })).toEqual({
      status: 422,
      body: { detail: [{ loc: ['body', 'AGE'], msg: 'is missing', type: 'missing' }] },
    });
  });

  test('with all features costs Redis nothing', async () => {
    const whole = { AGE: 30, SEX: 1, INCOME: 5, OWNER: true };
    expect(await predict({ ...whole, customer_id: 'c1' })).toEqual({ status: 200, body: answerFor(30) });
    expect(redis.reads).toEqual([]);
  });

  test('without an identifier is as it is without a store', async () => {
    for (const customer_id of [undefined, null, '', 1.5, {}]) {
      expect(await predict({ customer_id, AGE: 30 })).toEqual({
        status: 422,
        body: { detail: [{ loc: ['body', 'SEX'], msg: 'is missing', type: 'missing' }] },
      });
    }
    expect(redis.reads).toEqual([]);
  });

  test('that lacks what the store lacks too is told so by name; rules for missing values hold', async () => {
    redis.hashes.set('test:features:credit:c2', { SEX: '1' });
    const missing = 'is neither in the request nor in the feature store';
    expect(await predict({ customer_id: 'c2' })).toEqual({
      status: 422,
      body: { detail: [{ loc: ['body', 'AGE'], msg: missing, type: 'missing' }] },
    });
    expect(await predict({ customer_id: 'nobody' })).toEqual({
      status: 422,
      body: {
        detail: ['AGE', 'SEX'].map((name) => ({ loc: ['body', name], msg: missing, type: 'missing' })),
      },
    });
  });

  test('is checked as if it had carried the values of the store, which nobody is told', async () => {
    redis.hashes.set('test:features:credit:customer-3', { AGE: '12', SEX: 'secret', INCOME: '1e99' });
    const answer = await predict({ customer_id: 'customer-3', OWNER: 'x' });
    expect(answer).toEqual({
      status: 422,
      body: {
        detail: [
          { loc: ['body', 'AGE'], msg: 'must be >= 18, in the feature store', type: 'greater_than_equal' },
          { loc: ['body', 'SEX'], msg: 'must be an integer, in the feature store', type: 'number_type' },
          {
            loc: ['body', 'INCOME'],
            msg: 'must be <= 3.4028234663852886e+38, in the feature store',
            type: 'less_than_equal',
          },
          { loc: ['body', 'OWNER'], msg: 'must be true or false', type: 'bool_type' },
        ],
      },
    });
    expect(JSON.stringify(app.logs)).not.toMatch(/secret|customer-3/);
  });

  test('that needs a Redis which is away is 503, to be tried again; others are answered', async () => {
    for (const status of ['reconnecting', 'closed']) {
      redis.status = status;
      const response = await app.post('/risk-online-prediction', { customer_id: 'c1' });
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
      expect(await predict({ AGE: 30, SEX: 1, INCOME: 5, OWNER: true })).toMatchObject({ status: 200 });
    }
  });
});

describe('instances of the V1 protocol', () => {
  test('are completed each by its own identifier; arrays carry all features', async () => {
    const instances = [{ customer_id: 7 }, [30, 1, 5, true], { customer_id: 'c1', AGE: 20 }];
    const response = await app.post('/v1/models/credit:predict', { instances });
    expect(await response.json()).toEqual({ predictions: [60, 30, 20].map(answerFor) });
    expect(redis.reads.map(([key]) => key)).toEqual(['test:features:credit:7', 'test:features:credit:c1']);
  });

  test('say which instance lacks what', async () => {
    const instances = [{ customer_id: 'c1' }, { customer_id: 'nobody', SEX: 1 }];
    const response = await app.post('/v1/models/credit:predict', { instances });
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: 'instance 1: AGE: is neither in the request nor in the feature store' },
    ]);
  });
});

test('however features are split between request and store, the model gets the same bits', async () => {
  const encoder = new FeatureEncoder(someFeatures);
  const value = fc.record({
    AGE: fc.integer({ min: 18, max: 99 }),
    SEX: fc.constantFrom(1, 2),
    // Without -0, which text has no need to tell from 0.
    INCOME: fc.float({ noNaN: true, noDefaultInfinity: true }).map((income) => income / 3 + 0),
    OWNER: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(value, fc.subarray(['AGE', 'SEX', 'INCOME', 'OWNER'] as const), async (record, inStore) => {
      const table = {
        read: async (_id: string, names: readonly string[]) =>
          names.map((name) => String(record[name as keyof typeof record])),
      };
      const spec = { features: someFeatures, identifier: 'id' };
      const store = new FeatureStore(table, { status: 'ready' }, spec);
      const request: Record<string, unknown> = { ...record, id: 'c1' };
      for (const name of inStore) delete request[name];
      const [whole, split] = [new Float32Array(4), new Float32Array(4)];
      expect(encoder.encodeRecord(record, whole, 0)).toBeUndefined();
      expect(store.lacks(request)).toBe(inStore.length > 0);
      expect(encoder.encodeRecord((await store.complete(request)).record, split, 0)).toBeUndefined();
      expect(Buffer.from(split.buffer)).toEqual(Buffer.from(whole.buffer));
    }),
  );
});
