import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { stringify } from 'yaml';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import { openQueue, submitBatch } from '@riskmodel/core/batches/queue.ts';
import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import { freePort } from '@riskmodel/core/free-port.ts';
import { exampleManifest, type Manifest } from './manifests.ts';
import { Program } from './program.ts';

export const repository = join(import.meta.dirname, '..', '..');

/** Stands in for a worker's main program: dies, or fails, at a step that it is told. */
export const faultyWorker = join(repository, 'test/faults/faulty-worker.ts');

export interface LocalSystemOptions {
  /** Another Redis than the test run's. */
  redisUrl?: string;
  manifest?: Manifest;
}

/** Local mode in a folder of its own: buckets, warehouse, queue; servers and workers as real processes. */
export class LocalSystem {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly batches: BatchStore;
  /** What all keys in Redis begin with. */
  readonly redisPrefix: string;
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #env: NodeJS.ProcessEnv;
  readonly #programs: Program[] = [];
  #database: DuckDBConnection | undefined;

  private constructor(folder: string, manifest: Manifest, redisUrl: string) {
    const prefix = `test-${randomUUID().slice(0, 8)}`;
    this.folder = folder;
    this.manifest = manifest;
    this.redisPrefix = prefix;
    this.#env = {
      REDIS_URL: redisUrl,
      RISKMODEL_REDIS_PREFIX: prefix,
      RISKMODEL_DATA: folder,
      RISKMODEL_MANIFESTS: join(folder, 'manifest.yaml'),
    };
    this.#redis = connectRedis(redisUrl, 'worker', () => {});
    this.batches = new BatchStore(this.#redis, prefix);
    this.#queue = openQueue(manifest.metadata.name, this.#redis, prefix);
    this.#queue.on('error', () => {});
  }

  static async start({
    redisUrl = process.env['REDIS_URL'],
    manifest = exampleManifest(),
  }: LocalSystemOptions = {}): Promise<LocalSystem> {
    if (redisUrl === undefined) throw new Error('REDIS_URL is not set: run this test with `npm test`');
    const folder = await mkdtemp(join(tmpdir(), 'riskmodel-test-'));
    await writeFile(join(folder, 'manifest.yaml'), stringify(manifest));
    return new LocalSystem(folder, manifest, redisUrl);
  }

  /** Starts a queue-worker; `file` stands in for its main program. */
  async startWorker(
    env: NodeJS.ProcessEnv = {},
    file = join(repository, 'queue-worker/src/main.ts'),
  ): Promise<Program> {
    const worker = this.#spawn('queue-worker', file, env);
    await worker.waitForLine(/"message":"ready"/, 60_000);
    return worker;
  }

  /** Starts a server; `file` stands in for its main program. */
  async startServer(
    env: NodeJS.ProcessEnv = {},
    file = join(repository, 'server/src/main.ts'),
  ): Promise<{ url: string; program: Program }> {
    const port = await freePort();
    const program = this.#spawn('server', file, { PORT: String(port), HOST: '127.0.0.1', ...env });
    const url = `http://127.0.0.1:${port}`;
    for (;;) {
      const ready = await fetch(`${url}/readyz`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (ready) return { url, program };
      if (!program.isRunning) throw new Error(`the server ended:\n${program.lines.join('\n')}`);
      await sleep(5);
    }
  }

  #spawn(name: string, file: string, env: NodeJS.ProcessEnv): Program {
    const program = new Program(name, file, { ...this.#env, ...env });
    this.#programs.push(program);
    return program;
  }

  /** The file that holds an object. */
  pathOf(uri: string): string {
    return join(this.folder, 'buckets', uri.replace('gs://', ''));
  }

  /** Puts an object into a bucket: text, or the content of a file. */
  async put(uri: string, content: { text: string | Buffer } | { file: string }): Promise<string> {
    const path = this.pathOf(uri);
    await mkdir(dirname(path), { recursive: true });
    if ('file' in content) await copyFile(content.file, path);
    else await writeFile(path, content.text);
    return uri;
  }

  submit(input: string, idempotencyKey?: string, action?: Batch['action']): Promise<Batch> {
    const request = { model: this.manifest.metadata.name, action, input, idempotencyKey };
    return submitBatch(request, { store: this.batches, queue: this.#queue, now: () => new Date() });
  }

  /** Waits until a condition holds for the batch. */
  async waitFor(id: string, holds: (batch: Batch) => boolean, timeoutMs = 120_000): Promise<Batch> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const batch = await this.batches.get(id);
      if (batch !== undefined && holds(batch)) return batch;
      if (Date.now() > deadline) {
        const logs = this.#programs.flatMap(({ lines }) => lines.slice(-20)).join('\n');
        throw new Error(`the batch did not get there in ${timeoutMs / 1000} s: ${JSON.stringify(batch)}\n${logs}`);
      }
      await sleep(10);
    }
  }

  waitForEnd(id: string, timeoutMs?: number): Promise<Batch> {
    return this.waitFor(id, ({ state }) => isFinal(state), timeoutMs);
  }

  /** Submits a batch and waits for its end. */
  async run(input: string): Promise<Batch> {
    return this.waitForEnd((await this.submit(input)).id);
  }

  /** A table of the warehouse as a table expression of `query`. */
  table(name: 'results' | 'metrics' | 'rejects'): string {
    return `read_parquet('${this.folder}/warehouse/riskmodel/risk_model_${name}/*.parquet', union_by_name = true)`;
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    this.#database ??= await (await DuckDBInstance.create(':memory:')).connect();
    return (await this.#database.runAndReadAll(sql)).getRowObjectsJson();
  }

  /** How many Parquet files a table has; 0 when there is no table. */
  async fileCount(name: 'results' | 'metrics' | 'rejects'): Promise<number> {
    const rows = await this.query(
      `SELECT count(*)::INTEGER AS files FROM glob('${this.folder}/warehouse/riskmodel/risk_model_${name}/*.parquet')`,
    );
    return Number(rows[0]?.['files']);
  }

  /** Ends every program that was started and removes the folder. */
  async stop(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.kill()));
    await this.#queue.close();
    this.#redis.disconnect();
    this.#database?.closeSync();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
