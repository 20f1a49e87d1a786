import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { openQueue } from '@riskmodel/core/batches/queue.ts';
import { messageOf, RiskModelError } from '@riskmodel/core/errors.ts';
import { isLost } from '@riskmodel/core/redis/connect.ts';

/** What Redis is asked for takes milliseconds. */
const longestMs = 10_000;

/**
 * Does something with Redis, and fails soon while it is away: commands, and BullMQ all the more, would wait for it.
 * @throws RiskModelError `RedisUnavailable`, to be tried later, for every error that is not a RiskModelError itself
 */
export async function withRedis<T>(redis: Redis, use: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    if (isLost(redis)) throw new Error('the connection is lost');
    const tooSlow = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer in ${longestMs / 1_000} s`)), longestMs);
    });
    return await Promise.race([redis.ping().then(use), tooSlow]);
  } catch (cause) {
    if (cause instanceof RiskModelError) throw cause;
    throw new RiskModelError('RedisUnavailable', `Redis does not answer: ${messageOf(cause)}`, {
      retry: 'later',
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** As `withRedis`, with a model's queue. */
export function withQueue<T>(
  redis: Redis,
  { model, prefix }: { model: string; prefix: string },
  use: (queue: Queue) => Promise<T>,
): Promise<T> {
  return withRedis(redis, async () => {
    const queue = openQueue(model, redis, prefix);
    queue.on('error', () => {});
    try {
      return await use(queue);
    } finally {
      await queue.close();
    }
  });
}

export function isRedisUnavailable(error: unknown): error is RiskModelError {
  return error instanceof RiskModelError && error.code === 'RedisUnavailable';
}
