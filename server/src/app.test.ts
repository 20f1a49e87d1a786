import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { makeModel, startTestApp, StubSession, type TestApp } from './testing/test-app.ts';
import { until } from './testing/until.ts';

const person = { AGE: 40, SEX: 1 };

/** The request id that is answered to one that was sent. */
async function idFor(app: TestApp, id: string): Promise<string | null> {
  const { headers } = await app.post('/risk-online-prediction', person, { 'x-request-id': id });
  return headers.get('x-request-id');
}

describe('the app', () => {
  let session: StubSession;
  let app: TestApp;
  beforeEach(async () => {
    session = new StubSession(4);
    app = await startTestApp({ models: [makeModel('credit', session)] });
  });
  afterEach(() => app.close());

  test('answers the probes', async () => {
    expect(await app.get('/healthcheck')).toEqual({ status: 200, body: { status: 'Working' } });
    expect(await app.get('/livez')).toEqual({ status: 200, body: { status: 'alive' } });
    expect(await app.get('/readyz')).toEqual({ status: 200, body: { status: 'ready' } });
    app.readiness.markNotReady('shutting down');
    const response = await fetch(`${app.url}/readyz`);
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ status: 'not ready', reason: 'shutting down' });
  });

  test('answers 404 to what there is not, in the words of the protocol', async () => {
    for (const [path, body] of [
      ['/none', { detail: 'Not Found' }],
      ['/docs/none', { detail: 'Not Found' }],
      ['/docs/package.json', { detail: 'Not Found' }],
      ['/docs/..%2fpackage.json', { detail: 'Not Found' }],
      ['/v1/none', { error: 'Not Found' }],
      ['/v2/none', { error: 'Not Found' }],
    ] as const) {
      const response = await fetch(app.url + path);
      expect([path, response.status, await response.json()]).toEqual([path, 404, body]);
    }
  });

  test('says nothing of what it is made of, and lets nobody keep answers', async () => {
    const { headers } = await app.post('/risk-online-prediction', person);
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('etag')).toBeNull();
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
  });

  test('logs a request without its query, body or values, and with its trace', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    await app.post(
      '/risk-online-prediction?secret=1',
      { ...person, INCOME: 31_337_313_373.25 },
      {
        'x-request-id': 'req-7',
        traceparent: `00-${trace}-b7ad6b7169203331-01`,
      },
    );
    await app.post('/risk-online-prediction', { AGE: 31_337_313_373, SEX: 'secret' });
    await app.post('/risk-online-prediction', '{"AGE": secret31337313373');
    await until(() => app.logs.length >= 3);
    const text = JSON.stringify(app.logs);
    expect(text).not.toContain('secret');
    expect(text).not.toContain('31337313373');
    expect(app.logs).toContainEqual(
      expect.objectContaining({
        severity: 'INFO',
        httpRequest: {
          requestMethod: 'POST',
          requestUrl: '/risk-online-prediction',
          status: 200,
          latency: expect.stringMatching(/^\d+\.\d{6}s$/),
        },
        requestId: 'req-7',
        'logging.googleapis.com/trace': trace,
        'logging.googleapis.com/spanId': 'b7ad6b7169203331',
      }),
    );
  });

  test('takes a request id that is safe to repeat, and makes one otherwise', async () => {
    expect(await idFor(app, 'abc-123')).toBe('abc-123');
    expect(await idFor(app, 'a b"<script>')).toMatch(/^[\da-f-]{36}$/);
    expect(await idFor(app, 'x'.repeat(200))).toMatch(/^[\da-f-]{36}$/);
  });

  test('probes are logged at debug level', async () => {
    await fetch(`${app.url}/livez`);
    await until(() => app.logs.length > 0);
    expect(app.logs.map(({ severity }) => severity)).toEqual(['DEBUG']);
  });

  test('counts by the pattern of the route, never by the path', async () => {
    await app.post('/risk-online-prediction', person);
    await app.post('/v1/models/credit:predict', { instances: [person, person] });
    await app.post('/v1/models/whatever:predict', {});
    await fetch(`${app.url}/batches/of-nobody`);
    await fetch(`${app.url}/nowhere/of-nobody`);
    await fetch(`${app.url}/docs/swagger-ui.css`);
    const lines = [
      'riskmodel_http_requests_total{route="/risk-online-prediction",method="POST",code="200"} 1',
      'riskmodel_http_requests_total{route="/v1/models/{model}:predict",method="POST",code="200"} 1',
      'riskmodel_http_requests_total{route="/v1/models/{model}:predict",method="POST",code="404"} 1',
      'riskmodel_http_requests_total{route="/batches/{id}",method="GET",code="404"} 1',
      'riskmodel_http_requests_total{route="/docs/{file}",method="GET",code="200"} 1',
      'riskmodel_http_requests_total{route="other",method="GET",code="404"} 1',
      'riskmodel_model_run_rows_sum{model="credit"} 3',
      'riskmodel_predicted_probability_bucket{le="0.35",model="credit",version="1"} 0',
      'riskmodel_predicted_probability_bucket{le="0.45",model="credit",version="1"} 3',
      `riskmodel_model_info{model="credit",version="1",sha256="${'ab'.repeat(32)}"} 1`,
    ];
    // A request is counted when its connection is done with it, which the client may see earlier.
    let text = '';
    await until(async () => {
      text = await (await fetch(`${app.url}/metrics`)).text();
      return lines.every((line) => text.includes(line));
    });
    expect(text).not.toContain('of-nobody');
  });

  test('queue depths are in the metrics as long as they can be had', async () => {
    app.metrics.watchQueues(() => Promise.resolve([{ model: 'credit', jobs: { waiting: 3 }, oldestSeconds: 7 }]));
    const metrics = async (): Promise<string> => (await fetch(`${app.url}/metrics`)).text();
    expect(await metrics()).toContain('riskmodel_batch_queue_jobs{model="credit",state="waiting"} 3');
    app.metrics.watchQueues(() => Promise.resolve([]));
    expect(await metrics()).not.toContain('riskmodel_batch_queue_jobs{');
  });

  test('the landing page escapes what a manifest says', async () => {
    const hostile = await startTestApp({ models: [makeModel('credit', session, { version: '<script>alert("1")' })] });
    const html = await (await fetch(hostile.url)).text();
    await hostile.close();
    expect(html).not.toContain('<script>');
    expect(html).toContain('&lt;script&gt;alert(&quot;1&quot;)');
    for (const link of ['/docs', '/batches', '/metrics']) expect(html).toContain(`href="${link}"`);
  });

  test('the documentation needs nothing from elsewhere', async () => {
    for (const path of ['/docs', '/docs/']) {
      const response = await fetch(app.url + path);
      expect(response.status).toBe(200);
      const html = await response.text();
      expect(html).not.toMatch(/https?:/);
      const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file as string);
      expect(files.length).toBeGreaterThan(2);
      for (const file of files) expect((await fetch(app.url + file)).status).toBe(200);
    }
    expect(await (await fetch(`${app.url}/docs/start.js`)).text()).toContain("url: '/openapi.json'");
  });
});

describe('GET /openapi.json', () => {
  interface Document {
    openapi: string;
    paths: Record<string, Record<string, { requestBody?: { content: Record<string, { example: unknown }> } }>>;
    components: { schemas: Record<string, unknown> };
  }

  test.each([[['credit']], [['credit', 'other']]])('is valid OpenAPI 3.1 for the models %j', async (names) => {
    const app = await startTestApp({
      models: names.map((name) => makeModel(name, new StubSession(4), { version: 'a b' })),
    });
    const document = (await (await fetch(`${app.url}/openapi.json`)).json()) as Document;
    await app.close();
    const result = await new Validator().validate(document as unknown as Record<string, unknown>);
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    expect(document.openapi).toBe('3.1.0');
    // Without a default model there is nothing to say about the endpoints that use it.
    expect('/risk-online-prediction' in document.paths).toBe(names.length === 1);
    for (const name of names) expect(document.paths).toHaveProperty([`/v1/models/${name}:predict`]);
  });

  test('knows types, ranges, rules and descriptions of the features', async () => {
    const app = await startTestApp({ models: [makeModel('credit', new StubSession(4))] });
    const { components } = (await (await fetch(`${app.url}/openapi.json`)).json()) as Document;
    await app.close();
    expect(components.schemas['Record.credit']).toEqual({
      type: 'object',
      required: ['AGE', 'SEX'],
      properties: {
        AGE: { type: 'integer', minimum: 18, maximum: 99, examples: [38] },
        SEX: { enum: [1, 2], examples: [1] },
        INCOME: { type: ['number', 'null'], description: 'a <month>', default: 1000, examples: [1000] },
        OWNER: { enum: [false, true, 0, 1, null], examples: [false] },
      },
      example: { AGE: 38, SEX: 1, INCOME: 1000, OWNER: false },
    });
  });

  test('its examples of predictions are answered', async () => {
    const app = await startTestApp({ models: [makeModel('credit', new StubSession(4))] });
    const { paths } = (await (await fetch(`${app.url}/openapi.json`)).json()) as Document;
    for (const path of [
      '/risk-online-prediction',
      '/v1/models/credit:predict',
      '/v2/models/credit/infer',
      '/batches',
    ]) {
      const example = paths[path]?.['post']?.requestBody?.content['application/json']?.example;
      expect([path, (await app.post(path, example)).ok]).toEqual([path, true]);
    }
    await app.close();
  });
});
