import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { stablePort } from '@riskmodel/core/testing/stable-port.ts';
import { Redis } from 'ioredis';
import { until } from './until.ts';

/** A Redis of a test's own, which may be stopped and started; nothing of it remains. */
export class TestRedis {
  readonly url: string;
  /** A prefix for the test's keys. */
  readonly prefix = `test-${randomUUID().slice(0, 8)}`;
  readonly #port: number;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(port: number, folder: string) {
    this.url = `redis://127.0.0.1:${port}`;
    this.#port = port;
    this.#folder = folder;
  }

  static async start(): Promise<TestRedis> {
    const redis = new TestRedis(await stablePort(), await mkdtemp(join(tmpdir(), 'redis-')));
    await redis.resume();
    return redis;
  }

  async resume(): Promise<void> {
    const options = ['--port', String(this.#port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.#process = spawn(findRedisProgram(), options, { cwd: this.#folder, stdio: 'ignore' });
    const client = new Redis(this.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    client.on('error', () => {});
    await until(async () => (await client.ping()) === 'PONG');
    client.disconnect();
  }

  async pause(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    await new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill('SIGKILL');
    });
  }

  /** Lets the process stand still without ending, as a machine that is overloaded. */
  freeze(frozen: boolean): void {
    this.#process?.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
  }

  async stop(): Promise<void> {
    await this.pause();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A Redis of the test's own, because the tests stop it; so one that REDIS_URL names is of no use here. */
function findRedisProgram(): string {
  const names = ['redis-server', 'valkey-server'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = folders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file));
  if (found === undefined) throw new Error('this test needs redis-server or valkey-server on the PATH');
  return found;
}
