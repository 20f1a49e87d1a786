import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { connectRedis, type ConnectionPurpose } from '@riskmodel/core/redis/connect.ts';
import type { Redis } from 'ioredis';
import { TestRedis } from '../testing/test-redis.ts';
import { until } from '../testing/until.ts';
import { RateLimiter } from './rate-limiter.ts';

const rate = { requests: 3, seconds: 3_600 };
let server: TestRedis;
let clients: Redis[];

beforeEach(async () => {
  server = await TestRedis.start();
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.disconnect();
  await server.stop();
});

/**
 * As another replica has one.
 * @param purpose of its connection: the server's own takes what comes late, as on a busy machine, for a Redis that is away
 */
async function replica(purpose: ConnectionPurpose): Promise<RateLimiter> {
  const redis = connectRedis(server.url, purpose, () => {});
  clients.push(redis);
  await until(() => redis.status === 'ready');
  return new RateLimiter('batch', rate, { redis, prefix: server.prefix });
}

test('replicas count together, each caller for itself', async () => {
  const [one, other] = [await replica('request'), await replica('request')];
  const allowances = [];
  for (const limiter of [one, other, one, other]) allowances.push(await limiter.take('web'));
  expect(allowances.map(({ isAllowed, remaining }) => [isAllowed, remaining])).toEqual([
    [true, 2],
    [true, 1],
    [true, 0],
    [false, 0],
  ]);
  expect(await other.take('nightly')).toMatchObject({ isAllowed: true, remaining: 2 });
  expect((await clients[0]?.keys('*'))?.toSorted()).toEqual([
    `${server.prefix}:rate:batch:nightly`,
    `${server.prefix}:rate:batch:web`,
  ]);
});

test.each(['away', 'standing still'])(
  'a Redis that is %s stops nobody: each replica counts for itself',
  async (how) => {
    const [one, other] = [await replica('cache'), await replica('cache')];
    await (await replica('request')).take('web');
    if (how === 'away') await server.pause();
    else server.freeze(true);
    const counts = [];
    for (const limiter of [one, one, one, one, other]) counts.push((await limiter.take('web')).isAllowed);
    expect(counts).toEqual([true, true, true, false, true]);
    if (how === 'away') await server.resume();
    else server.freeze(false);
    // And they count together again when it is back.
    await until(async () => {
      await other.take('late');
      return (await one.take('late')).remaining === 0;
    });
    await until(() => clients.every(({ status }) => status === 'ready'));
  },
);
