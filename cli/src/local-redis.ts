import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { messageOf } from '@riskmodel/core/errors.ts';
import { CommandError } from './errors.ts';
import { freePort } from '@riskmodel/core/free-port.ts';
import { isRunning, spawnProgram, stopChild } from './lifeline.ts';
import { findRedisProgram, installRedis } from './redis-program.ts';

/** A Redis to work with. */
export interface LocalRedis {
  url: string;
  /** Whether `ensureRedis` started it, so that nobody else uses it. */
  isPrivate: boolean;
  /** Resolves, with what went wrong, when a private Redis ends without having been asked to. */
  failed: Promise<Error>;
  /** Stops a private Redis, which writes its data out first; leaves any other alone. */
  stop(): Promise<void>;
}

export interface EnsureRedisOptions {
  /** A private Redis keeps its data in `DATADIR/redis`; without this, in a temporary folder that `stop` removes. */
  dataDir?: string;
  /** `REDIS_URL` names a Redis to use instead of a private one; `PATH` is where its program is looked for. */
  env: NodeJS.ProcessEnv;
  /** Told, in whole lines, what takes a while. */
  log: (line: string) => void;
}

/** A server that has started to listen answers well within this time, however much it has to load. */
const startTimeoutMs = 60_000;

/**
 * Finds a Redis or starts a private one on 127.0.0.1: `REDIS_URL` when it is set, else the `redis-server` or
 * `valkey-server` on the PATH, else the one that the system's package manager installs. The private one appends every
 * change to disk and evicts nothing, which is what BullMQ's queues need, and ends with this process. No Redis that was
 * running before is ever changed.
 *
 * @throws CommandError with what to install or to set
 */
export async function ensureRedis({ dataDir, env, log }: EnsureRedisOptions): Promise<LocalRedis> {
  const url = env['REDIS_URL'];
  if (url) {
    await assertAnswers(url);
    return { url, isPrivate: false, failed: new Promise(() => {}), stop: async () => {} };
  }
  let program = await findRedisProgram(env['PATH']);
  if (program === undefined && (await installRedis(env, log))) program = await findRedisProgram(env['PATH']);
  if (program === undefined) {
    throw new CommandError(
      'Redis is needed and was not found: install the package redis-server (or valkey), or set REDIS_URL to a Redis that runs, such as redis://127.0.0.1:6379',
    );
  }
  return startPrivateRedis(program, dataDir);
}

async function startPrivateRedis(program: string, dataDir: string | undefined): Promise<LocalRedis> {
  const folder = dataDir === undefined ? await mkdtemp(join(tmpdir(), 'riskmodel-redis-')) : join(dataDir, 'redis');
  await mkdir(folder, { recursive: true });
  const logFile = join(folder, 'redis.log');
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const child = startProgram(program, port, folder, logFile);
    const url = `redis://127.0.0.1:${port}`;
    try {
      await waitUntilReady(child, url, folder);
    } catch (error) {
      await stopChild(child, 5_000);
      // Between finding a free port and listening on it another program may take it.
      if (attempt < 3 && (await readFile(logFile, 'utf8')).includes('Address already in use')) continue;
      throw new CommandError(`${program} did not start: ${messageOf(error)}; its log is ${logFile}`);
    }
    let stopping = false;
    const failed = once(child, 'exit').then(([code, signal]) => {
      if (stopping) return new Promise<never>(() => {});
      return new CommandError(`Redis ended unexpectedly (${signal ?? `exit code ${code}`}); its log is ${logFile}`);
    });
    return {
      url,
      isPrivate: true,
      failed,
      stop: async () => {
        stopping = true;
        await stopChild(child, 20_000);
        if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
      },
    };
  }
}

function startProgram(program: string, port: number, folder: string, logFile: string): ChildProcess {
  const settings: Record<string, string> = {
    bind: '127.0.0.1',
    port: String(port),
    'protected-mode': 'yes',
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
  };
  const logFd = openSync(logFile, 'w');
  try {
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    return spawnProgram(program, args, { logFd });
  } finally {
    closeSync(logFd);
  }
}

/** Waits until the Redis at `url` answers, has loaded its data, and is the one that works in `folder`. */
async function waitUntilReady(child: ChildProcess, url: string, folder: string): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (let last: unknown; Date.now() < deadline; await sleep(20)) {
    if (!isRunning(child)) throw new Error(`it ended at once (exit code ${child.exitCode ?? child.signalCode})`);
    try {
      const [, dir] = (await ask(url, 'CONFIG', 'GET', 'dir')) as string[];
      if (dir !== (await realpath(folder))) throw new Error('another Redis answers at its port');
      return;
    } catch (error) {
      last = error;
      if (Date.now() + 100 > deadline) throw last;
    }
  }
  throw new Error(`it does not answer after ${startTimeoutMs / 1_000} s`);
}

async function assertAnswers(url: string): Promise<void> {
  try {
    await ask(url, 'PING');
  } catch (error) {
    throw new CommandError(
      `REDIS_URL: no Redis answers at ${withoutPassword(url)} (${messageOf(error)}): start it, or unset REDIS_URL to have a private one started`,
    );
  }
}

/** Sends one command on a connection of its own. */
async function ask(url: string, command: string, ...args: string[]): Promise<unknown> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 5_000,
    commandTimeout: 5_000,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    // A connection that is closed already is still waited for so long, which keeps the process alive.
    disconnectTimeout: 50,
  });
  let cause: Error | undefined;
  redis.on('error', (error) => (cause = error));
  try {
    await redis.connect();
    return await redis.call(command, ...args);
  } catch (error) {
    // A connection that failed is reported as closed; the reason came before.
    throw cause ?? error;
  } finally {
    redis.disconnect();
  }
}

function withoutPassword(url: string): string {
  try {
    const parsed = new URL(url);
    return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
  } catch {
    return 'that URL';
  }
}
