import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';
import { TestRedis } from '../testing/test-redis.ts';
import { until } from '../testing/until.ts';

/** Long enough for an entry to be there still when it is asked for next. */
const cacheTtl = '6s';

describe('the prediction cache in Redis', () => {
  let redis: TestRedis;
  /** As the server's own, but patient: whether an entry is found must not depend on how busy this machine is. */
  let cacheRedis: Redis;
  /** Looks at what is stored. */
  let reader: Redis;
  let app: TestApp;
  const session = new StubSession(4);
  const predict = async (AGE: number): Promise<string> => {
    const response = await app.post('/risk-online-prediction', { AGE, SEX: 1 });
    expect(response.status).toBe(200);
    return response.text();
  };

  beforeAll(async () => {
    redis = await TestRedis.start();
    cacheRedis = connectRedis(redis.url, 'request', () => {});
    reader = connectRedis(redis.url, 'worker', () => {});
    await until(() => cacheRedis.status === 'ready');
    app = await startTestApp({ models: [makeModel('credit', session, { cacheTtl })], cacheRedis });
  });
  afterAll(async () => {
    await app.close();
    cacheRedis.disconnect();
    reader.disconnect();
    await redis.stop();
  });

  test('the same applicant again costs no run, until the time is up', async () => {
    const first = await predict(20);
    // Nobody waits for the entry to be written, so the next request may come before it.
    await until(async () => (await reader.dbsize()) === 1);
    const runs = session.runs.length;
    expect(await predict(20)).toBe(first);
    expect(session.runs.length).toBe(runs);
    await until(async () => (await reader.dbsize()) === 0);
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
    await until(async () => (await reader.dbsize()) >= 3);
    const runs = session.runs.length;
    expect(await (await app.post('/v1/models/credit:predict', body)).text()).toBe(first);
    expect(session.runs.length).toBe(runs);
  });

  test('entries are eight bytes, under a key without any value of the applicant', async () => {
    await predict(61);
    await until(async () => (await reader.dbsize()) > 0);
    for (const key of await reader.keys('*')) {
      expect(key).toMatch(/^test:prediction:(?:ab){32}:[\w-]{43}$/);
      expect(await reader.getBuffer(key)).toHaveLength(8);
    }
  });

  test('a Redis that stands still is not waited for by every request', async () => {
    const impatient = connectRedis(redis.url, 'cache', () => {});
    await until(() => impatient.status === 'ready');
    const asked = jest.spyOn(impatient, 'getBuffer');
    const other = await startTestApp({
      models: [makeModel('credit', session, { cacheTtl })],
      cacheRedis: impatient,
    });
    redis.freeze(true);
    const requests = 20;
    for (let i = 0; i < requests; i++) {
      expect((await other.post('/risk-online-prediction', { AGE: 71, SEX: 1 })).status).toBe(200);
    }
    redis.freeze(false);
    // The first one waits for as long as the connection lets it, and the next ones of the same second do not ask.
    expect(asked.mock.calls.length).toBeLessThan(requests / 2);
    await other.close();
    impatient.disconnect();
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
