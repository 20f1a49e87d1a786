import type { Redis } from 'ioredis';
import type { BatchAction, BatchInputFormat } from '../batchprediction/zz_generated.batchprediction.ts';
import type { ClassificationReport } from '../evaluation/classification-report.ts';
import { cancellableStates, finalStates, type Batch, type BatchState } from './batch.ts';

/** How long a finished batch can still be asked for. */
const keepFinishedSeconds = 30 * 24 * 3600;

/**
 * Moves a batch to another state only if it is in one of the expected ones, so that of two programs that disagree
 * (a commit and a cancellation) exactly one wins. KEYS: the batch, its chunks. ARGV: the new state, for how many seconds
 * both are kept then (0: for ever), the number of expected states, these, then fields and values to set with it.
 * Returns 1 when it moved.
 */
const transitionScript = `
local state = redis.call('HGET', KEYS[1], 'state')
local count = tonumber(ARGV[3])
for i = 4, 3 + count do
  if state == ARGV[i] then
    redis.call('HSET', KEYS[1], 'state', ARGV[1], unpack(ARGV, 4 + count))
    if ARGV[2] ~= '0' then
      for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[2]) end
    end
    return 1
  end
end
return 0`;

/**
 * Sets what a chunk came to, in a record that lives as long as the batch's. KEYS: the batch, its chunks. ARGV: the chunk,
 * its rows.
 */
const recordChunkScript = `
local seconds = redis.call('TTL', KEYS[1])
if seconds == -2 then return end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
if seconds >= 0 then redis.call('EXPIRE', KEYS[2], seconds) end`;

/** Writes a batch that does not exist yet. KEYS: the batch, then the indexes. ARGV: score, id, then fields and values. */
const createScript = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
for i = 2, #KEYS do redis.call('ZADD', KEYS[i], ARGV[1], ARGV[2]) end
return 1`;

/** Fields of a batch that change along with its state. */
export interface BatchUpdate {
  total?: number;
  startedAt?: string;
  finishedAt?: string;
  results?: string;
  files?: string;
  metricsTable?: string;
  rejects?: string;
  done?: number;
  failed?: number;
  metrics?: ClassificationReport;
  error?: { code: string; message: string };
  plan?: unknown;
  /** What each chunk came to, of a batch that is scored and committed in one go. */
  scored?: unknown[];
}

/**
 * The record of every batch, in Redis. The record's state is the truth: jobs of the queue look at it first and do
 * nothing for a batch that has ended, so that a job that runs twice, or too late, changes nothing.
 */
export class BatchStore {
  readonly #redis: Redis;
  /** Separates installations that share a Redis. */
  readonly prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.prefix = prefix;
  }

  #key(...parts: string[]): string {
    return [this.prefix, ...parts].join(':');
  }

  /** Records a new batch in state `queued`; false when there is one of this id already. */
  async create(
    batch: Pick<Batch, 'id' | 'model' | 'action' | 'input' | 'format' | 'generation' | 'createdAt'>,
  ): Promise<boolean> {
    const keys = [this.#key('batch', batch.id), this.#key('batches'), this.#key('batches', batch.model)];
    const score = Date.parse(batch.createdAt);
    const created = await this.#redis.eval(
      createScript,
      keys.length,
      ...keys,
      score,
      batch.id,
      ...Object.entries({ ...batch, state: 'queued' }).flat(),
    );
    return created === 1;
  }

  async get(id: string): Promise<Batch | undefined> {
    const [hash, chunks] = await Promise.all([
      this.#redis.hgetall(this.#key('batch', id)),
      this.#redis.hvals(this.#key('batch', id, 'chunks')),
    ]);
    return hash['id'] === undefined ? undefined : batchOf(hash, chunks);
  }

  async state(id: string): Promise<BatchState | undefined> {
    return ((await this.#redis.hget(this.#key('batch', id), 'state')) ?? undefined) as BatchState | undefined;
  }

  /** The newest batches, of one model or of all, at most `limit`. */
  async list(options: { model?: string; limit: number }): Promise<Batch[]> {
    const index = options.model === undefined ? this.#key('batches') : this.#key('batches', options.model);
    const ids = await this.#redis.zrevrange(index, 0, options.limit - 1);
    const batches = await Promise.all(ids.map((id) => this.get(id)));
    const gone = ids.filter((_, i) => batches[i] === undefined);
    if (gone.length > 0) await this.#redis.zrem(index, ...gone);
    return batches.filter((batch) => batch !== undefined);
  }

  /** Moves the batch to `to` if its state is one of `from`; returns whether it was. */
  async transition(
    id: string,
    from: readonly BatchState[],
    to: BatchState,
    update: BatchUpdate = {},
  ): Promise<boolean> {
    const fields = Object.entries(update)
      .filter(([, value]) => value !== undefined)
      .flatMap(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]);
    const moved = await this.#redis.eval(
      transitionScript,
      2,
      this.#key('batch', id),
      this.#key('batch', id, 'chunks'),
      to,
      finalStates.includes(to) ? keepFinishedSeconds : 0,
      from.length,
      ...from,
      // HSET wants at least one pair after the state; the id is there already and stays.
      ...(fields.length > 0 ? fields : ['id', id]),
    );
    return moved === 1;
  }

  /** Ends a batch that has not ended and is not being committed. */
  cancel(id: string, finishedAt: string): Promise<boolean> {
    return this.transition(id, cancellableStates, 'cancelled', { finishedAt });
  }

  /** The plan that `transition` stored with the batch; undefined when it has none. */
  async plan<T>(id: string): Promise<T | undefined> {
    const plan = await this.#redis.hget(this.#key('batch', id), 'plan');
    return plan === null ? undefined : (JSON.parse(plan) as T);
  }

  /** What `transition` stored of the batch's chunks; empty when it has stored nothing. */
  async scored<T>(id: string): Promise<T[]> {
    const scored = await this.#redis.hget(this.#key('batch', id), 'scored');
    return scored === null ? [] : (JSON.parse(scored) as T[]);
  }

  /** Counts a chunk's rows towards the batch's progress, once however often it is told. */
  async recordChunk(id: string, chunk: number, rows: { done: number; failed: number }): Promise<void> {
    const keys = [this.#key('batch', id), this.#key('batch', id, 'chunks')];
    await this.#redis.eval(recordChunkScript, keys.length, ...keys, chunk, `${rows.done},${rows.failed}`);
  }
}

function batchOf(hash: Record<string, string>, chunks: string[]): Batch {
  const text = (name: string): string | null => hash[name] ?? null;
  const counted = chunks.map((chunk) => chunk.split(',').map(Number));
  const sum = (column: number): number => counted.reduce((total, counts) => total + (counts[column] ?? 0), 0);
  return {
    id: hash['id'] as string,
    model: hash['model'] as string,
    ...(hash['action'] === undefined ? {} : { action: hash['action'] as BatchAction }),
    input: hash['input'] as string,
    ...(hash['format'] === undefined ? {} : { format: hash['format'] as BatchInputFormat }),
    ...(hash['generation'] === undefined ? {} : { generation: hash['generation'] }),
    state: hash['state'] as BatchState,
    rows: {
      total: hash['total'] === undefined ? null : Number(hash['total']),
      done: hash['done'] === undefined ? sum(0) : Number(hash['done']),
      failed: hash['failed'] === undefined ? sum(1) : Number(hash['failed']),
    },
    createdAt: hash['createdAt'] as string,
    startedAt: text('startedAt'),
    finishedAt: text('finishedAt'),
    output: {
      results: text('results'),
      metrics: text('metricsTable'),
      rejects: text('rejects'),
      ...(hash['files'] === undefined ? {} : { files: hash['files'] }),
    },
    ...(hash['metrics'] === undefined ? {} : { metrics: JSON.parse(hash['metrics']) as ClassificationReport }),
    ...(hash['error'] === undefined ? {} : { error: JSON.parse(hash['error']) as { code: string; message: string } }),
  };
}
