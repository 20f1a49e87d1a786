import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from '../../cli/src/free-port.ts';
import { findRedisProgram } from '../../cli/src/redis-program.ts';

/** A Redis of a test's own, with its append-only file on, that can be killed and started again. */
export class RedisProcess {
  readonly url: string;
  readonly #program: string;
  readonly #folder: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  private constructor(program: string, folder: string, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.#port = port;
    this.url = `redis://127.0.0.1:${port}`;
  }

  static async start(folder: string): Promise<RedisProcess> {
    const program = await findRedisProgram(process.env['PATH']);
    if (program === undefined) throw new Error('no redis-server on the PATH');
    const redis = new RedisProcess(program, folder, await freePort());
    await redis.start();
    return redis;
  }

  async start(): Promise<void> {
    const options = { port: this.#port, bind: '127.0.0.1', dir: this.#folder, appendonly: 'yes', save: '' };
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
