import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Counter, Registry } from 'prom-client';
import { HealthServer } from './health-server.ts';

let problem: string | undefined;
let server: HealthServer;
let base: string;
beforeEach(async () => {
  problem = undefined;
  const registry = new Registry();
  new Counter({ name: 'things_total', help: 'Things', registers: [registry] }).inc(3);
  const ready = { caches: () => problem, other: () => undefined };
  server = new HealthServer({ registry, live: {}, ready, host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${await server.listen()}`;
});
afterEach(() => server.close());

async function ask(path: string, method = 'GET'): Promise<[number, string]> {
  const response = await fetch(`${base}${path}`, { method });
  return [response.status, await response.text()];
}

describe('a probe', () => {
  test.each<[string, string | undefined, [number, string]]>([
    ['/livez', undefined, [200, 'ok\n']],
    ['/healthz', undefined, [200, 'ok\n']],
    ['/readyz', undefined, [200, '[+]caches ok\n[+]other ok\nok\n']],
    ['/readyz', 'waiting for Pod.v1', [503, '[-]caches: waiting for Pod.v1\n[+]other ok\nfailed\n']],
    ['/livez', 'waiting for Pod.v1', [200, 'ok\n']],
  ])('%s answers, when the caches say %p', async (path, said, expected) => {
    problem = said;
    expect(await ask(path)).toEqual(expected);
  });
});

test('metrics are in the format of Prometheus', async () => {
  expect(await ask('/metrics')).toEqual([200, expect.stringContaining('things_total 3')]);
});

test.each([
  ['/', 'GET', 404],
  ['/metrics/../etc', 'GET', 404],
  ['/readyz', 'POST', 405],
])('%s by %s is answered %d', async (path, method, status) => {
  expect((await ask(path, method))[0]).toBe(status);
});

test('a port that is taken is an error', async () => {
  const options = {
    registry: new Registry(),
    live: {},
    ready: {},
    host: '127.0.0.1',
    port: Number(new URL(base).port),
  };
  await expect(new HealthServer(options).listen()).rejects.toThrow('EADDRINUSE');
});
