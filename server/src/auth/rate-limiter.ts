import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes, type RateLimiterAbstract } from 'rate-limiter-flexible';
import type { Rate } from './settings.ts';

/** What a caller has left, in the fields of draft-ietf-httpapi-ratelimit-headers-10. */
export interface Allowance {
  isAllowed: boolean;
  remaining: number;
  /** Whole seconds until the count begins anew, at least 1. */
  resetSeconds: number;
}

/** Counts the requests of each caller in windows of a fixed length. */
export class RateLimiter {
  /** The header `RateLimit-Policy`. */
  readonly policy: string;
  readonly #name: string;
  readonly #limiter: RateLimiterAbstract;

  /**
   * @param shared where all replicas count together; while it is away, and without it, each counts for itself
   */
  constructor(name: string, { requests, seconds }: Rate, shared?: { redis: Redis; prefix: string }) {
    this.#name = name;
    this.policy = `"${name}";q=${requests};w=${seconds}`;
    const options = { points: requests, duration: seconds, keyPrefix: name };
    const own = new RateLimiterMemory(options);
    this.#limiter =
      shared === undefined
        ? own
        : new RateLimiterRedis({
            ...options,
            keyPrefix: `${shared.prefix}:rate:${name}`,
            storeClient: shared.redis,
            insuranceLimiter: own,
          });
  }

  async take(caller: string): Promise<Allowance> {
    try {
      return allowance(true, await this.#limiter.consume(caller));
    } catch (error) {
      // The library rejects with the count when there is nothing left.
      if (error instanceof RateLimiterRes) return allowance(false, error);
      throw error;
    }
  }

  /** The header `RateLimit`. */
  header({ remaining, resetSeconds }: Allowance): string {
    return `"${this.#name}";r=${remaining};t=${resetSeconds}`;
  }
}

function allowance(isAllowed: boolean, { remainingPoints, msBeforeNext }: RateLimiterRes): Allowance {
  return { isAllowed, remaining: remainingPoints, resetSeconds: Math.max(1, Math.ceil(msBeforeNext / 1_000)) };
}
