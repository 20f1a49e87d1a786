export interface TokenBucketOptions {
  /** How much may happen at once. */
  burst: number;
  /** How long until one more may happen. */
  refillMs: number;
  /** How many keys are told apart; the one unused for longest is forgotten first, and may do `burst` again. */
  maxKeys: number;
}

/** Limits how often something happens for each of many keys. */
export class TokenBuckets {
  readonly #options: TokenBucketOptions;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(options: TokenBucketOptions) {
    this.#options = options;
  }

  /** Takes a token, if the key has one left. */
  take(key: string, now: number): boolean {
    const { burst, refillMs, maxKeys } = this.#options;
    const bucket = this.#buckets.get(key);
    const refilled = bucket === undefined ? burst : Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
    const isAllowed = refilled >= 1;
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: isAllowed ? refilled - 1 : refilled, at: now });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxKeys && oldest !== undefined) this.#buckets.delete(oldest);
    return isAllowed;
  }
}
