import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { findLoadedArtifact } from '@riskmodel/core/serving/loaded-artifact.ts';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { apiKeyLine, makeApiKey } from '@riskmodel/core/access/api-key.ts';
import { TestRedis } from './testing/test-redis.ts';
import { until } from './testing/until.ts';

// A server starts in each test.
jest.setTimeout(120_000);

const mainFile = join(import.meta.dirname, 'main.ts');
const fixture = join(import.meta.dirname, '../../test/fixtures/plain.onnx');

const manifest = `apiVersion: riskmodel.io/v1alpha1
kind: RiskModel
metadata: {name: credit}
spec:
  artifact: {uri: model.onnx, format: ONNX, version: "7"}
  features: [{name: a, type: Number}, {name: b, type: Number}, {name: c, type: Number}, {name: d, type: Number}]
`;
const record = JSON.stringify({ a: 1, b: 2, c: 3, d: 4 });

class ServerProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stdout = '';
  stderr = '';

  constructor(env: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, [mainFile], {
      env: { HOST: '127.0.0.1', PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exited = once(this.child, 'close').then(([code]) => code as number | null);
  }

  get port(): number {
    return Number(/"port":(\d+)/.exec(this.stdout)?.[1]);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async listening(): Promise<void> {
    await until(() => this.port > 0 || this.child.exitCode !== null, 60_000);
    if (this.child.exitCode !== null) throw new Error(this.stderr);
  }

  async ready(): Promise<void> {
    await this.listening();
    await until(async () => (await fetch(`${this.url}/readyz`)).ok, 60_000);
  }
}

/** Sends the head of a prediction; the server waits for the body. */
function beginPrediction(port: number, agent?: Agent, headers: Record<string, string> = {}): ClientRequest {
  const request = httpRequest({
    port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/risk-online-prediction',
    headers: { 'content-type': 'application/json', 'content-length': record.length, ...headers },
    ...(agent === undefined ? {} : { agent }),
  });
  request.write(record.slice(0, 5));
  return request;
}

/** The same, once the server has the head, which it tells whom it asks for more. */
async function beginKnownPrediction(port: number, agent?: Agent): Promise<ClientRequest> {
  const request = beginPrediction(port, agent, { expect: '100-continue' });
  await once(request, 'continue');
  return request;
}

async function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

describe('the server as a process', () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;
  let server: ServerProcess | undefined;
  const start = (more: NodeJS.ProcessEnv = {}): ServerProcess => (server = new ServerProcess({ ...env, ...more }));

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'server-'));
    await writeFile(join(folder, 'riskmodel.yaml'), manifest);
    await copyFile(fixture, join(folder, 'model.onnx'));
    // Nothing listens at the port of Redis: serving online does not need one.
    env = { RISKMODEL_MANIFESTS: folder, RISKMODEL_DATA: folder, REDIS_URL: 'redis://127.0.0.1:1' };
  });
  afterEach(async () => {
    server?.child.kill('SIGKILL');
    await server?.exited;
    server = undefined;
    await rm(folder, { recursive: true });
  });

  test('answers what is under way when it is told to stop, closes the rest and exits 0', async () => {
    const running = start();
    await running.ready();
    const agent = new Agent({ keepAlive: true });
    const idle = connect(running.port, '127.0.0.1');
    await once(idle, 'connect');
    const idleClosed = once(idle, 'close');
    const request = await beginKnownPrediction(running.port, agent);

    running.child.kill('SIGTERM');
    await idleClosed;
    await expect(fetch(`${running.url}/livez`)).rejects.toThrow();
    request.end(record.slice(5));
    const response = await answerOf(request);
    expect(response.statusCode).toBe(200);
    expect(response.headers.connection).toBe('close');
    expect(JSON.parse(await text(response))).toHaveLength(2);
    expect(await running.exited).toBe(0);
    expect(running.stderr).toBe('');
    agent.destroy();
  });

  test('in a cluster it tells which file its revision serves', async () => {
    const redis = await TestRedis.start();
    const client = new Redis(redis.url);
    try {
      const { prefix } = redis;
      const running = start({ REDIS_URL: redis.url, RISKMODEL_REDIS_PREFIX: prefix, RISKMODEL_REVISION: 'a1b2' });
      await running.ready();
      await until(
        async () => (await findLoadedArtifact(client, { prefix, model: 'credit', revision: 'a1b2' })) != null,
      );
      expect(await findLoadedArtifact(client, { prefix, model: 'credit', revision: 'a1b2' })).toEqual({
        uri: expect.stringMatching(/^file:.*model\.onnx$/),
        sha256: createHash('sha256')
          .update(await readFile(fixture))
          .digest('hex'),
      });
    } finally {
      client.disconnect();
      await redis.stop();
    }
  });

  test('with a drain delay it is not ready but still answers, and sends clients elsewhere', async () => {
    // Long enough for all that is asked meanwhile.
    const running = start({ RISKMODEL_DRAIN_DELAY: '5' });
    await running.ready();
    running.child.kill('SIGINT');
    await until(async () => (await fetch(`${running.url}/readyz`)).status === 503);
    const readiness = await fetch(`${running.url}/readyz`);
    expect(await readiness.json()).toEqual({ status: 'not ready', reason: 'shutting down' });
    const prediction = await fetch(`${running.url}/risk-online-prediction`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: record,
    });
    expect(prediction.status).toBe(200);
    expect(prediction.headers.get('connection')).toBe('close');
    expect(await running.exited).toBe(0);
  });

  test('a client that never finishes its request does not keep it from ending', async () => {
    const running = start({ RISKMODEL_SHUTDOWN_GRACE: '1' });
    await running.ready();
    const request = await beginKnownPrediction(running.port);
    request.on('error', () => {});
    running.child.kill('SIGTERM');
    expect(await running.exited).toBe(0);
    expect(running.stdout).toContain('requests cut off');
  });

  test('under load no request is lost when clients heed Connection: close', async () => {
    // Long enough for every client to have an answer that says so.
    const running = start({ RISKMODEL_DRAIN_DELAY: '5' });
    await running.ready();
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const statuses: (number | undefined)[] = [];
    const client = async (): Promise<void> => {
      for (let connection: string | undefined; connection !== 'close';) {
        const request = beginPrediction(running.port, agent);
        request.end(record.slice(5));
        const response = await answerOf(request);
        await text(response);
        statuses.push(response.statusCode);
        ({ connection } = response.headers);
      }
    };
    const clients = Array.from({ length: 16 }, client);
    await until(() => statuses.length > 500);
    running.child.kill('SIGTERM');
    await Promise.all(clients);
    expect(await running.exited).toBe(0);
    agent.destroy();
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });

  test('while a model can not be read yet it says why, and goes on when it can', async () => {
    await rm(join(folder, 'model.onnx'));
    // A folder in the file's place can't be read, which is not the same as not being there.
    await mkdir(join(folder, 'model.onnx'));
    const running = start();
    await running.listening();
    await until(async () => (await (await fetch(`${running.url}/readyz`)).text()).includes("can't be read"));
    for (const [path, status] of [
      ['/livez', 200],
      ['/v2/health/live', 200],
      ['/v2/health/ready', 503],
    ] as const) {
      expect([path, (await fetch(running.url + path)).status]).toEqual([path, status]);
    }
    const prediction = await fetch(`${running.url}/v1/models/credit:predict`, { method: 'POST', body: '{}' });
    expect(prediction.status).toBe(503);
    expect(prediction.headers.get('retry-after')).toBe('1');
    expect(await prediction.json()).toEqual({ error: expect.stringContaining('loading model credit') });
    await rm(join(folder, 'model.onnx'), { recursive: true });
    await copyFile(fixture, join(folder, 'model.onnx'));
    await running.ready();
  });

  test.each([
    ['a manifest that is wrong', manifest.replace('format: ONNX', 'format: PMML'), {}, /spec\.artifact\.format/],
    ['a model that is not there', manifest.replace('model.onnx', 'none.onnx'), {}, /none\.onnx does not exist$/m],
    ['another number of features', manifest.replace(', {name: d, type: Number}', ''), {}, /takes 4 features/],
    ['a default that is not served', manifest, { RISKMODEL_DEFAULT_MODEL: 'x' }, /default model "x" is not served/],
    ['a setting that is wrong', manifest, { PORT: 'http' }, /PORT: must be a whole number/],
    ['a setting that is missing', manifest, { REDIS_URL: '' }, /REDIS_URL is not set/],
    [
      'keys that are not there',
      manifest,
      { RISKMODEL_AUTH: 'api-key', RISKMODEL_API_KEYS_FILE: '/no/such/file' },
      /RISKMODEL_API_KEYS_FILE: can't be read: ENOENT/,
    ],
  ])('ends with 1 and one line for %s', async (_name, yaml, more, message) => {
    await writeFile(join(folder, 'riskmodel.yaml'), yaml);
    const running = start(more);
    expect(await running.exited).toBe(1);
    expect(running.stderr).toMatch(/^riskmodel server: /);
    expect(running.stderr).toMatch(message);
    expect(running.stderr.trim().split('\n')).toHaveLength(1);
  });

  test('ends with 1 when its port is taken', async () => {
    const other = createServer((socket: Socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const running = start({ PORT: String((other.address() as AddressInfo).port) });
    expect(await running.exited).toBe(1);
    expect(running.stderr).toMatch(/^riskmodel server: .*EADDRINUSE/);
    other.close();
  });

  test('asks callers who they are, and exchanges keys without a restart or an answer lost', async () => {
    const file = join(folder, 'keys');
    const [oldKey, newKey] = [makeApiKey(), makeApiKey()];
    await writeFile(file, apiKeyLine('web', oldKey));
    const running = start({
      RISKMODEL_AUTH: 'api-key',
      RISKMODEL_API_KEYS_FILE: file,
      RISKMODEL_RATE_LIMIT_ONLINE: '1000000/h',
      RISKMODEL_LOG_LEVEL: 'debug',
    });
    await running.ready();
    const predict = async (key: string): Promise<number> => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
      const response = await fetch(`${running.url}/risk-online-prediction`, { method: 'POST', headers, body: record });
      await response.arrayBuffer();
      return response.status;
    };
    expect([await predict(oldKey), await predict(newKey)]).toEqual([200, 401]);
    // A caller with both keys always has one that is accepted.
    await writeFile(file, `${apiKeyLine('web', oldKey)}\n${apiKeyLine('web', newKey)}`);
    await until(async () => {
      expect(await predict(oldKey)).toBe(200);
      return (await predict(newKey)) === 200;
    });
    await writeFile(file, apiKeyLine('web', newKey));
    await until(async () => {
      expect(await predict(newKey)).toBe(200);
      return (await predict(oldKey)) === 401;
    });
    running.child.kill('SIGTERM');
    expect(await running.exited).toBe(0);
    expect(running.stdout).toContain('"caller":"web"');
    for (const key of [oldKey, newKey]) expect(running.stdout.includes(key.slice(4, 20))).toBe(false);
  });

  test('a request that waits for a batch is told where it goes on', async () => {
    const redis = await TestRedis.start();
    await mkdir(join(folder, 'buckets', 'inputs'), { recursive: true });
    await writeFile(join(folder, 'buckets', 'inputs', 'x.json'), '[]');
    const running = start({ REDIS_URL: redis.url, RISKMODEL_SHUTDOWN_GRACE: '2' });
    await running.ready();
    const waiting = fetch(`${running.url}/risk-batch-prediction`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ BUCKET_NAME: 'inputs', FILEPATH: 'x.json' }),
    });
    await until(async () => {
      const { batches } = (await (await fetch(`${running.url}/batches`)).json()) as { batches: unknown[] };
      return batches.length === 1;
    });
    running.child.kill('SIGTERM');
    const response = await waiting;
    expect(response.status).toBe(503);
    expect(response.headers.get('location')).toMatch(/^\/batches\/[\da-f-]{36}$/);
    expect(await running.exited).toBe(0);
    await redis.stop();
  });
});
