import { once } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { answerJson, startFaultServer, statusBody, type FaultServer } from '../testing/fault-server.ts';
import { collect } from '../testing/collect.ts';
import { configMap, configMapType } from '../testing/objects.ts';
import { makeRequestMetrics } from './request-metrics.ts';

let server: FaultServer;
afterEach(() => server.close());

const ref = { namespace: 'default', name: 'a' };

async function overloaded(times: number, retryAfter: string): Promise<void> {
  server = await startFaultServer((_, response, index) => {
    if (index < times) answerJson(response, 429, statusBody(429, 'TooManyRequests'), { 'retry-after': retryAfter });
    else answerJson(response, 200, configMap('a'));
  });
}

describe('a server that sheds load', () => {
  test('is left alone for as long as it asks', async () => {
    await overloaded(2, '1');
    const waits: number[] = [];
    const client = server.client({ sleep: (ms) => Promise.resolve(void waits.push(ms)) });
    expect(await client.get(configMapType, ref)).toMatchObject(configMap('a'));
    expect(waits).toEqual([1000, 1000]);
  });

  test('is not waited for when it asks for long: the caller has a queue for that', async () => {
    await overloaded(1, '30');
    await expect(server.client().get(configMapType, ref)).rejects.toMatchObject({ status: 429, retryAfterMs: 30_000 });
    expect(server.requests).toHaveLength(1);
  });

  test('is given up on in the end', async () => {
    await overloaded(99, '1');
    const client = server.client({ sleep: () => Promise.resolve() });
    await expect(client.get(configMapType, ref)).rejects.toMatchObject({ status: 429 });
    expect(server.requests).toHaveLength(4);
  });
});

describe('an answer that fails', () => {
  test.each([
    ['with a Status', 409, JSON.stringify(statusBody(409, 'Conflict', 'changed')), 'Conflict', /^get .*: changed$/],
    ['from a proxy in between', 502, '<html>bad gateway</html>', 'Http502', /HTTP 502 <html>bad gateway/],
    ['with nothing', 500, '', 'InternalError', /^get ConfigMap default\/a: HTTP 500$/],
  ])('%s is told in its words', async (_, status, text, code, message) => {
    server = await startFaultServer((_, response) => response.writeHead(status).end(text));
    const failing = server.client().get(configMapType, ref);
    await expect(failing).rejects.toMatchObject({ status, code, message: expect.stringMatching(message) });
  });

  test('by not coming has a limit', async () => {
    server = await startFaultServer(() => {});
    const failing = server.client({ timeoutMs: 50 }).get(configMapType, ref);
    await expect(failing).rejects.toMatchObject({ status: 0, code: 'Timeout', retry: 'later' });
  });

  test('by stopping in the middle has a limit', async () => {
    server = await startFaultServer((_, response) => response.writeHead(200).write('{'));
    const failing = server.client({ timeoutMs: 50 }).get(configMapType, ref);
    await expect(failing).rejects.toMatchObject({ status: 0, code: 'Timeout' });
  });

  test('by breaking off is unreachable', async () => {
    server = await startFaultServer((_, response) => response.destroy());
    const failing = server.client().get(configMapType, ref);
    await expect(failing).rejects.toMatchObject({ status: 0, code: 'Unreachable', cause: expect.any(Error) });
  });

  test('can be given up', async () => {
    server = await startFaultServer(() => {});
    const controller = new AbortController();
    const failing = server.client().get(configMapType, ref, controller.signal);
    controller.abort();
    await expect(failing).rejects.toMatchObject({ status: 0, code: 'Aborted' });
  });
});

describe('a stream', () => {
  test('may be quiet for longer than a request may take', async () => {
    server = await startFaultServer((_, response) => {
      response.writeHead(200).flushHeaders();
      setTimeout(() => response.end(`${JSON.stringify({ type: 'ADDED', object: configMap('a') })}\n`), 2_500);
    });
    // Its beginning has to come within that time, on a busy machine too.
    const events = server.client({ timeoutMs: 2_000 }).watch(configMapType, { resourceVersion: '1' });
    expect(await collect(events)).toHaveLength(1);
  });

  test('must begin in time', async () => {
    server = await startFaultServer(() => {});
    const events = server.client({ timeoutMs: 50 }).watch(configMapType, { resourceVersion: '1' });
    await expect(events.next()).rejects.toMatchObject({ code: 'Timeout' });
  });

  test('ends when its signal is aborted, also for the server', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    server = await startFaultServer((_, response) => {
      closed = once(response, 'close');
      response.writeHead(200).flushHeaders();
    });
    const controller = new AbortController();
    const events = server.client().watch(configMapType, { resourceVersion: '1', signal: controller.signal });
    const next = events.next();
    setTimeout(() => controller.abort(), 50);
    await expect(next).rejects.toThrow();
    await closed;
  });

  test('that nobody reads any more is closed', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    server = await startFaultServer((_, response) => {
      closed = once(response, 'close');
      response.writeHead(200).write(`${JSON.stringify({ type: 'ADDED', object: configMap('a') })}\n`);
    });
    for await (const event of server.client().watch(configMapType, { resourceVersion: '1' })) {
      expect(event.type).toBe('ADDED');
      break;
    }
    await closed;
  });
});

test('connections are kept', async () => {
  server = await startFaultServer((_, response) => answerJson(response, 200, configMap('a')));
  const client = server.client();
  for (let i = 0; i < 10; i++) await client.get(configMapType, ref);
  // The next request may begin before the connection of the last one has come back.
  expect(server.connections).toBeLessThanOrEqual(2);
});

test('who asks is said in every request', async () => {
  server = await startFaultServer((_, response) => answerJson(response, 200, configMap('a')));
  let asked = 0;
  const authHeaders = (): Promise<Record<string, string>> => Promise.resolve({ authorization: `Bearer ${++asked}` });
  const client = server.client({ connection: { ...server.connection, authHeaders } });
  await client.get(configMapType, ref);
  await client.get(configMapType, ref);
  expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer 1', 'Bearer 2']);
});

test("the server's warnings are passed on", async () => {
  const warning = '299 - "unknown field \\"spec.x\\"", 299 - "v1beta1 will be removed"';
  server = await startFaultServer((_, response) => answerJson(response, 200, configMap('a'), { warning }));
  const warnings: string[] = [];
  await server.client({ onWarning: (text, action) => warnings.push(`${action}: ${text}`) }).get(configMapType, ref);
  expect(warnings).toEqual([
    'get ConfigMap default/a: unknown field "spec.x"',
    'get ConfigMap default/a: v1beta1 will be removed',
  ]);
});

test("requests are counted under client-go's names", async () => {
  server = await startFaultServer((_, response, index) => {
    if (index === 2) response.destroy();
    else answerJson(response, index === 0 ? 200 : 404, index === 0 ? configMap('a') : statusBody(404, 'NotFound'));
  });
  const registry = new Registry();
  const client = server.client({ metrics: makeRequestMetrics(registry) });
  await client.get(configMapType, ref);
  await client.get(configMapType, ref);
  await client.delete(configMapType, ref).catch(() => {});
  const { host } = new URL(server.connection.server);
  const text = await registry.metrics();
  for (const labels of [`code="200",method="GET"`, `code="404",method="GET"`, `code="<error>",method="DELETE"`]) {
    expect(text).toContain(`rest_client_requests_total{${labels},host="${host}"} 1`);
  }
  expect(text).toContain('rest_client_request_duration_seconds_bucket');
});
