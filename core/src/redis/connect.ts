import { Redis, type RedisOptions } from 'ioredis';

/**
 * What a connection is for, which decides how it behaves while Redis is away:
 * - `worker`: BullMQ's consumers wait for it to come back, however long;
 * - `request`: somebody waits for the answer, so a command fails after a short while;
 * - `features`: a prediction waits for the answer and can't do without, so a command fails soon;
 * - `cache`: the answer is worth little, so a command fails at once, and slow is as good as down.
 */
export type ConnectionPurpose = 'worker' | 'request' | 'features' | 'cache';

const byPurpose: Record<ConnectionPurpose, RedisOptions> = {
  worker: { maxRetriesPerRequest: null },
  request: { maxRetriesPerRequest: 2, commandTimeout: 5_000 },
  features: { maxRetriesPerRequest: 0, commandTimeout: 1_000, enableAutoPipelining: true },
  cache: { maxRetriesPerRequest: 0, enableOfflineQueue: false, commandTimeout: 50, enableAutoPipelining: true },
};

/**
 * Opens a connection that keeps reconnecting. Its `error` events are never thrown: `onError` is told of the first one of
 * an outage, and `onBack` when it is over.
 */
export function connectRedis(
  url: string,
  purpose: ConnectionPurpose,
  onError: (error: Error) => void,
  onBack: () => void = () => {},
): Redis {
  const redis = new Redis(url, {
    ...byPurpose[purpose],
    retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
  });
  let isAway = false;
  redis.on('error', (error) => {
    if (!isAway) onError(error);
    isAway = true;
  });
  redis.on('ready', () => {
    if (isAway) onBack();
    isAway = false;
  });
  return redis;
}

/** Whether a connection is lost. A first one that is still being made is waited for. */
export function isLost({ status }: Pick<Redis, 'status'>): boolean {
  return status === 'reconnecting' || status === 'close' || status === 'end';
}
