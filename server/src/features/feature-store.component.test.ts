import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import type { Redis } from 'ioredis';
import { makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';
import { TestRedis } from '../testing/test-redis.ts';
import { until } from '../testing/until.ts';

let server: TestRedis;
let redis: Redis;
let app: TestApp;

beforeAll(async () => {
  server = await TestRedis.start();
  redis = connectRedis(server.url, 'features', () => {});
  app = await startTestApp({
    models: [makeModel('credit', new StubSession(4), { hasFeatureStore: true })],
    featuresRedis: redis,
  });
});

afterAll(async () => {
  await app.close();
  redis.disconnect();
  await server.stop();
});

const whole = { AGE: 30, SEX: 1, INCOME: 5, OWNER: true };

async function statusOf(body: unknown): Promise<number> {
  return (await app.post('/risk-online-prediction', body)).status;
}

test('requests that come together share round trips, each with its own features', async () => {
  await Promise.all([20, 40, 60].map((age) => redis.hset(`test:features:credit:c${age}`, { AGE: age, SEX: 1 })));
  const answers = await Promise.all(
    Array.from({ length: 90 }, async (_, i) => {
      const age = [20, 40, 60][i % 3] as number;
      const [, prob1] = (await (
        await app.post('/risk-online-prediction', { customer_id: `c${age}` })
      ).json()) as number[];
      return prob1 === Math.fround(age / 100);
    }),
  );
  expect(answers.every(Boolean)).toBe(true);
});

test('a Redis that hangs, is gone, and comes back: 503 for those that need it, and no other', async () => {
  server.freeze(true);
  expect(await statusOf({ customer_id: 'c20' })).toBe(503);
  expect(await statusOf(whole)).toBe(200);
  server.freeze(false);
  await until(async () => (await statusOf({ customer_id: 'c20' })) === 200);
  await server.pause();
  await until(async () => (await statusOf({ customer_id: 'c20' })) === 503);
  expect(await statusOf(whole)).toBe(200);
  await server.resume();
  await until(async () => (await statusOf({ customer_id: 'c20', AGE: 20, SEX: 1 })) === 200);
});
