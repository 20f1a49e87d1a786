import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { stablePort } from '../testing/stable-port.ts';
import { connectRedis, type ConnectionPurpose } from './connect.ts';

/** A way to Redis that can be closed and opened again. */
class Gate {
  readonly #sockets = new Set<Socket>();
  readonly #target = new URL(process.env['REDIS_URL'] as string);
  #server: Server | undefined;
  /** Known from the first opening on. */
  #port: number | undefined;

  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.href;
  }

  async open(): Promise<void> {
    if (this.#server !== undefined) return;
    this.#server = createServer((client) => {
      const redis = connect(Number(this.#target.port || 6379), this.#target.hostname);
      for (const socket of [client, redis]) {
        this.#sockets.add(socket);
        socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
      }
      client.pipe(redis).pipe(client);
    });
    this.#port ??= await stablePort();
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening');
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

let gate: Gate;
let errors: Error[];
const connections: Redis[] = [];

beforeEach(async () => {
  gate = new Gate();
  errors = [];
  await gate.open();
});

afterEach(async () => {
  // Disconnecting what is not connected leaves a timer behind that keeps the process up for two seconds.
  await gate.open();
  for (const connection of connections.splice(0)) {
    await is(connection, 'ready');
    connection.disconnect();
  }
  await gate.close();
});

async function connected(purpose: ConnectionPurpose): Promise<Redis> {
  const redis = connectRedis(gate.url, purpose, (error) => errors.push(error));
  connections.push(redis);
  await is(redis, 'ready');
  return redis;
}

async function is(redis: Redis, status: Redis['status']): Promise<void> {
  while (redis.status !== status) await sleep(5);
}

/** Redis' answer; one that comes late, which on a busy machine is too late for a cache, is asked for again. */
async function answerOf(redis: Redis): Promise<string> {
  for (;;) {
    try {
      return await redis.ping();
    } catch (error) {
      if (!(error as Error).message.includes('timed out')) throw error;
    }
  }
}

describe.each<ConnectionPurpose>(['worker', 'request', 'cache'])('a connection for a %s', (purpose) => {
  test('comes back by itself, and reports what went wrong without throwing it', async () => {
    const redis = await connected(purpose);
    expect(await answerOf(redis)).toBe('PONG');
    await gate.close();
    while (!errors.some(({ message }) => message.includes('ECONNREFUSED'))) await sleep(10);
    await gate.open();
    await is(redis, 'ready');
    expect(await answerOf(redis)).toBe('PONG');
  });
});

describe('while Redis is away', () => {
  test('a worker waits for it', async () => {
    const redis = await connected('worker');
    await gate.close();
    const answer = redis.ping();
    expect(await Promise.race([answer, sleep(1_000, 'still waiting')])).toBe('still waiting');
    await gate.open();
    expect(await answer).toBe('PONG');
  });

  test('a request is told after a few tries, or seconds', async () => {
    const redis = await connected('request');
    await gate.close();
    await expect(redis.ping()).rejects.toThrow(/max retries per request|timed out/);
  });

  test('a cache is no use at once', async () => {
    const redis = await connected('cache');
    await gate.close();
    await is(redis, 'reconnecting');
    // The words for a command that was not even kept for later.
    await expect(redis.ping()).rejects.toThrow("Stream isn't writeable");
  });
});
