import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findRedisProgram } from '../../cli/src/redis-program.ts';
import { stablePort } from '@riskmodel/core/testing/stable-port.ts';

/** A Redis of a test's own, with its append-only file on, that can be killed and started again. */
export class RedisProcess {
  readonly url: string;
  readonly #program: string;
  readonly #folder: string;
  readonly #port: number;
  readonly #host: string;
  #child: ChildProcess | undefined;

  private constructor(program: string, folder: string, host: string, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.#host = host;
    this.#port = port;
    this.url = `redis://${host}:${port}`;
  }

  /** @param host another address of this machine, for programs in namespaces of their own to reach it */
  static async start(folder: string, host = '127.0.0.1'): Promise<RedisProcess> {
    const program = await findRedisProgram(process.env['PATH']);
    if (program === undefined) throw new Error('no redis-server on the PATH');
    const redis = new RedisProcess(program, folder, host, await stablePort(host));
    await redis.start();
    return redis;
  }

  async start(): Promise<void> {
    const options = {
      port: this.#port,
      bind: this.#host,
      dir: this.#folder,
      appendonly: 'yes',
      save: '',
      'protected-mode': this.#host === '127.0.0.1' ? 'yes' : 'no',
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.#child = spawn(this.#program, args, { stdio: 'ignore' });
    const client = new Redis(this.url, { lazyConnect: true, retryStrategy: () => 20, maxRetriesPerRequest: null });
    client.on('error', () => {});
    // While the append-only file is being loaded it answers, but not with PONG.
    while ((await client.ping().catch(() => '')) !== 'PONG') await sleep(20);
    client.disconnect();
  }

  async kill(): Promise<void> {
    if (this.#child === undefined) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    this.#child = undefined;
  }
}
