import { Redis, type RedisOptions } from 'ioredis';

/**
 * What a connection is for, which decides how it behaves while Redis is away:
 * - `worker`: BullMQ's consumers wait for it to come back, however long;
 * - `request`: somebody waits for the answer, so a command fails after a short while;
 * - `cache`: the answer is worth little, so a command fails at once, and slow is as good as down.
 */
export type ConnectionPurpose = 'worker' | 'request' | 'cache';

const byPurpose: Record<ConnectionPurpose, RedisOptions> = {
  worker: { maxRetriesPerRequest: null },
  request: { maxRetriesPerRequest: 2, commandTimeout: 5_000 },
  cache: { maxRetriesPerRequest: 0, enableOfflineQueue: false, commandTimeout: 50, enableAutoPipelining: true },
};

/** Opens a connection that keeps reconnecting. Its `error` events are reported to `onError` and never thrown. */
export function connectRedis(url: string, purpose: ConnectionPurpose, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, {
    ...byPurpose[purpose],
    retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
  });
  redis.on('error', onError);
  return redis;
}
