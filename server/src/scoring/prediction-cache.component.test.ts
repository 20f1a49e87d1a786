import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';
import { TestRedis } from '../testing/test-redis.ts';
import { until } from '../testing/until.ts';

describe('the prediction cache in Redis', () => {
  let redis: TestRedis;
  let cacheRedis: Redis;
  let app: TestApp;
  const session = new StubSession(4);
  const predict = async (AGE: number): Promise<string> => {
    const response = await app.post('/risk-online-prediction', { AGE, SEX: 1 });
    expect(response.status).toBe(200);
    return response.text();
  };

  beforeAll(async () => {
    redis = await TestRedis.start();
    cacheRedis = connectRedis(redis.url, 'cache', () => {});
    await until(() => cacheRedis.status === 'ready');
    app = await startTestApp({ models: [makeModel('credit', session, { cacheTtl: '500ms' })], cacheRedis });
  });
  afterAll(async () => {
    await app.close();
    cacheRedis.disconnect();
    await redis.stop();
  });

  test('the same applicant again costs no run, until the time is up', async () => {
    const first = await predict(20);
    // Nobody waits for the entry to be written, so the next request may come before it.
    await until(async () => (await cacheRedis.dbsize()) === 1);
    const runs = session.runs.length;
    expect(await predict(20)).toBe(first);
    expect(session.runs.length).toBe(runs);
    await until(async () => (await cacheRedis.dbsize()) === 0);
    expect(await predict(20)).toBe(first);
    expect(session.runs.length).toBe(runs + 1);
  });

  test('several rows at once use it too', async () => {
    const body = {
      instances: [
        { AGE: 51, SEX: 1 },
        { AGE: 52, SEX: 1 },
        { AGE: 53, SEX: 1 },
      ],
    };
    const first = await (await app.post('/v1/models/credit:predict', body)).text();
    await until(async () => (await cacheRedis.dbsize()) >= 3);
    const runs = session.runs.length;
    expect(await (await app.post('/v1/models/credit:predict', body)).text()).toBe(first);
    expect(session.runs.length).toBe(runs);
  });

  test('entries are eight bytes, under a key without any value of the applicant', async () => {
    await predict(61);
    const reader = new Redis(redis.url);
    await until(async () => (await reader.dbsize()) > 0);
    for (const key of await reader.keys('*')) {
      expect(key).toMatch(/^test:prediction:(?:ab){32}:[\w-]{43}$/);
      expect(await reader.getBuffer(key)).toHaveLength(8);
    }
    reader.disconnect();
  });

  test('a Redis that stands still delays an answer by no more than its time limit, and few of them', async () => {
    redis.freeze(true);
    const started = performance.now();
    for (let i = 0; i < 20; i++) await predict(71);
    const milliseconds = performance.now() - started;
    redis.freeze(false);
    expect(milliseconds).toBeLessThan(500);
  });

  test('a Redis that goes away and comes back is noticed by nobody', async () => {
    await redis.pause();
    for (let i = 0; i < 20; i++) await predict(72);
    await redis.resume();
    await until(async () => {
      const runs = session.runs.length;
      await predict(73);
      return session.runs.length === runs;
    });
  });
});
