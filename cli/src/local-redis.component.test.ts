import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { ensureRedis, type LocalRedis } from './local-redis.ts';

// Redis starts in each test.
jest.setTimeout(90_000);

const withoutRedisUrl = { PATH: process.env['PATH'] };
const silent = (): void => {};
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'riskmodel-test-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function start(dataDir?: string): Promise<LocalRedis> {
  const redis = await ensureRedis({ ...(dataDir !== undefined && { dataDir }), env: withoutRedisUrl, log: silent });
  cleanUps.push(() => redis.stop());
  return redis;
}

function connect(url: string): Redis {
  const redis = new Redis(url, { retryStrategy: () => null, disconnectTimeout: 50 });
  redis.on('error', silent);
  cleanUps.push(async () => redis.disconnect());
  return redis;
}

async function answers(url: string): Promise<boolean> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, disconnectTimeout: 50 });
  redis.on('error', silent);
  try {
    await redis.connect();
    return true;
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

async function until(condition: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 800; tries++) {
    if (await condition()) return true;
    await sleep(50);
  }
  return false;
}

describe('a private Redis', () => {
  test('listens on 127.0.0.1 only, keeps what it is told on disk, and evicts nothing', async () => {
    const { url, isPrivate } = await start(await temporaryFolder());
    const redis = connect(url);
    const setting = async (name: string): Promise<unknown> => (await redis.config('GET', name))[1];
    expect({
      isPrivate,
      host: new URL(url).hostname,
      bind: await setting('bind'),
      protectedMode: await setting('protected-mode'),
      appendonly: await setting('appendonly'),
      appendfsync: await setting('appendfsync'),
      maxmemoryPolicy: await setting('maxmemory-policy'),
    }).toEqual({
      isPrivate: true,
      host: '127.0.0.1',
      bind: '127.0.0.1',
      protectedMode: 'yes',
      appendonly: 'yes',
      appendfsync: 'everysec',
      maxmemoryPolicy: 'noeviction',
    });
  });

  test('has the data of the last time when it is started again on the same folder', async () => {
    const dataDir = await temporaryFolder();
    const first = await start(dataDir);
    await connect(first.url).set('batch', 'kept');
    await first.stop();
    expect(await answers(first.url)).toBe(false);
    const second = await start(dataDir);
    expect(await connect(second.url).get('batch')).toBe('kept');
  });

  test('leaves no folder behind when it was given none', async () => {
    const redis = await start();
    const [, folder] = await connect(redis.url).config('GET', 'dir');
    await redis.stop();
    await expect(stat(folder as string)).rejects.toThrow('ENOENT');
  });

  test('says that it ended when somebody else ends it', async () => {
    const redis = await start();
    void connect(redis.url).call('SHUTDOWN', 'NOSAVE').catch(silent);
    await expect(redis.failed).resolves.toThrow(/Redis ended unexpectedly .*its log is/);
  });

  test('ends with the process that started it, even when that is killed', async () => {
    const dataDir = await temporaryFolder();
    const script = `
      import { ensureRedis } from ${JSON.stringify(fileURLToPath(new URL('local-redis.ts', import.meta.url)))};
      const { url } = await ensureRedis({ dataDir: ${JSON.stringify(dataDir)}, env: { PATH: process.env.PATH }, log() {} });
      console.log(url);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] },
    });
    cleanUps.push(async () => parent.kill('SIGKILL'));
    const [url] = (await once(parent.stdout.setEncoding('utf8'), 'data')) as [string];
    expect(await answers(url.trim())).toBe(true);
    parent.kill('SIGKILL');
    expect(await until(async () => !(await answers(url.trim())))).toBe(true);
  });
});

describe('REDIS_URL', () => {
  test('names a Redis that is used and not stopped', async () => {
    const { url } = await start();
    const used = await ensureRedis({ env: { REDIS_URL: url }, log: silent });
    expect(used).toMatchObject({ url, isPrivate: false });
    await used.stop();
    expect(await answers(url)).toBe(true);
  });

  test('that nobody answers at is an error that says what to do and shows no password', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as { port: number };
    closed.close();
    const failure = ensureRedis({ env: { REDIS_URL: `redis://me:secret@127.0.0.1:${port}` }, log: silent });
    await expect(failure).rejects.toThrow(
      new RegExp(
        `^REDIS_URL: no Redis answers at redis://127.0.0.1:${port} \\(.*ECONNREFUSED.*\\): start it, or unset`,
      ),
    );
    await expect(failure).rejects.not.toThrow('secret');
  });
});

test('a server that can not start is reported with its log', async () => {
  const folder = await temporaryFolder();
  const broken = join(folder, 'redis-server');
  await writeFile(broken, '#!/bin/sh\necho "no such luck" >&2\nexit 3\n');
  await chmod(broken, 0o755);
  const env = { PATH: [folder, withoutRedisUrl.PATH].join(delimiter) };
  await expect(ensureRedis({ dataDir: folder, env, log: silent })).rejects.toThrow(
    `${broken} did not start: it ended at once (exit code 3); its log is ${join(folder, 'redis', 'redis.log')}`,
  );
});
