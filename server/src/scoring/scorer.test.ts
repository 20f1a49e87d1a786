import { describe, expect, test } from '@jest/globals';
import { Batcher } from './batcher.ts';
import { PredictionCache, type CacheRedis, type CacheResult } from './prediction-cache.ts';
import { Scorer } from './scorer.ts';

/** Redis as far as the cache knows it; `failing` makes every command fail. */
class FakeRedis {
  status = 'ready';
  failing = false;
  readonly entries = new Map<string, Buffer>();
  readonly ttls: number[] = [];
  reads = 0;

  async getBuffer(key: string): Promise<Buffer | null> {
    return (await this.mgetBuffer(key))[0] ?? null;
  }

  async mgetBuffer(...keys: string[]): Promise<(Buffer | null)[]> {
    this.reads++;
    if (this.failing) throw new Error('Command timed out');
    return keys.map((key) => this.entries.get(key) ?? null);
  }

  async set(key: string, value: Buffer, _px: 'PX', ttl: number): Promise<'OK'> {
    if (this.failing) throw new Error('Command timed out');
    this.entries.set(key, Buffer.from(value));
    this.ttls.push(ttl);
    return 'OK';
  }

  pipeline(): unknown {
    return {
      set: (...args: Parameters<FakeRedis['set']>) => void this.set(...args).catch(() => {}),
      exec: () => (this.failing ? Promise.reject(new Error('Connection is closed.')) : Promise.resolve([])),
    };
  }
}

function setUp(): {
  redis: FakeRedis;
  scorer: Scorer;
  runs: number[];
  results: Record<CacheResult, number>;
} {
  const redis = new FakeRedis();
  const runs: number[] = [];
  const results = { hit: 0, miss: 0, error: 0 };
  const cache = new PredictionCache(redis as unknown as CacheRedis, {
    prefix: 'test',
    sha256: 'abc',
    ttl: 30_000,
    onResult: (result, rows) => void (results[result] += rows),
  });
  const batcher = new Batcher(
    {
      run: async (matrix, rows) => {
        runs.push(rows);
        return Float32Array.from({ length: rows * 2 }, (_, i) => {
          const one = Math.fround(1 / 3 + (matrix[(i >> 1) * 3] as number) / 100);
          return i % 2 === 0 ? 1 - one : one;
        });
      },
    },
    { width: 3 },
  );
  return { redis, scorer: new Scorer(batcher, { width: 3, cache }), runs, results };
}

const bits = (values: Float32Array): number[] => [...new Uint32Array(values.slice().buffer)];

describe('Scorer with a cache', () => {
  test('the same row again costs no run and has the same bits', async () => {
    const { scorer, runs, results, redis } = setUp();
    const first = await scorer.score(Float32Array.of(1, 2, 3), 1);
    const second = await scorer.score(Float32Array.of(1, 2, 3), 1);
    expect(bits(second)).toEqual(bits(first));
    expect(runs).toEqual([1]);
    expect(results).toEqual({ hit: 1, miss: 1, error: 0 });
    expect(redis.ttls).toEqual([30_000]);
  });

  test('rows that differ in any feature are other rows', async () => {
    const { scorer, runs } = setUp();
    for (const row of [
      [1, 2, 3],
      [1, 2, 4],
      [2, 2, 3],
      [1, 2, Number.NaN],
    ])
      await scorer.score(Float32Array.from(row), 1);
    expect(runs).toEqual([1, 1, 1, 1]);
  });

  test('of several rows only the unknown ones are scored, and all come back in order', async () => {
    const { scorer, runs } = setUp();
    await scorer.score(Float32Array.of(2, 0, 0), 1);
    const rows = Float32Array.of(1, 0, 0, 2, 0, 0, 3, 0, 0);
    const mixed = await scorer.score(rows, 3);
    expect(runs).toEqual([1, 2]);
    const again = await scorer.score(rows, 3);
    expect(runs).toEqual([1, 2]);
    expect(bits(again)).toEqual(bits(mixed));
    expect([...mixed].filter((_, i) => i % 2 === 1).map((one) => one.toFixed(4))).toEqual([
      '0.3433',
      '0.3533',
      '0.3633',
    ]);
  });

  test('the row that was passed in may be changed while the cache is asked', async () => {
    const { scorer } = setUp();
    const row = Float32Array.of(1, 2, 3);
    const answer = scorer.score(row, 1);
    row.fill(50);
    expect((await answer)[1]).toBeCloseTo(1 / 3 + 0.01, 6);
  });

  test('a Redis that fails is a miss', async () => {
    const { scorer, runs, redis, results } = setUp();
    redis.failing = true;
    await scorer.score(Float32Array.of(1, 2, 3), 1);
    await scorer.score(Float32Array.of(1, 2, 3, 4, 5, 6), 2);
    expect(runs).toEqual([1, 2]);
    expect(results).toEqual({ hit: 0, miss: 0, error: 3 });
  });

  test('a Redis that is away is not even asked', async () => {
    const { scorer, runs, redis, results } = setUp();
    redis.status = 'reconnecting';
    await scorer.score(Float32Array.of(1, 2, 3), 1);
    expect(runs).toEqual([1]);
    expect(redis.reads).toBe(0);
    expect(results.error).toBe(1);
  });

  test.each([
    ['too short', Buffer.from('abc')],
    ['empty', Buffer.alloc(0)],
    ['no probabilities', Buffer.alloc(8, 0xff)],
    ['zeros', Buffer.alloc(8)],
    ['text', Buffer.from('12345678')],
  ])('an entry that no model wrote (%s) is a miss, and is replaced', async (_name, corrupt) => {
    const { scorer, runs, redis, results } = setUp();
    const row = Float32Array.of(1, 2, 3);
    const right = await scorer.score(row, 1);
    for (const key of redis.entries.keys()) redis.entries.set(key, corrupt);
    expect(bits(await scorer.score(row, 1))).toEqual(bits(right));
    expect(runs).toEqual([1, 1]);
    expect(results.error).toBe(1);
    expect(bits(await scorer.score(row, 1))).toEqual(bits(right));
    expect(runs).toEqual([1, 1]);
  });

  test('a request with very many rows goes straight to the model', async () => {
    const { scorer, redis } = setUp();
    expect(await scorer.score(new Float32Array(3 * 2_000), 2_000)).toHaveLength(4_000);
    expect(redis.reads).toBe(0);
  });
});

test('an answer that is no number is a failure', async () => {
  const model = { run: async () => Float32Array.of(0.5, 0.5, Number.NaN, Number.NaN) };
  const scorer = new Scorer(new Batcher(model, { width: 1 }), { width: 1 });
  await expect(scorer.score(Float32Array.of(1, 2), 2)).rejects.toThrow('no number');
});
