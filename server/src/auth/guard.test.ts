import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { apiKeyLine, makeApiKey } from '@riskmodel/core/access/api-key.ts';
import { makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';
import { allowedEmail, TokenIssuer } from '../testing/token-issuer.ts';
import { until } from '../testing/until.ts';
import { ApiKeys } from './api-keys.ts';
import { IdTokens } from './id-tokens.ts';
import { RateLimiter } from './rate-limiter.ts';

const person = { AGE: 30, SEX: 1 };
const keys = { web: makeApiKey(), online: makeApiKey(), batch: makeApiKey(), unknown: makeApiKey() };
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

let folder: string;
let apiKeys: ApiKeys;
let issuer: TokenIssuer;
let app: TestApp;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-'));
  const lines = [
    apiKeyLine('web', keys.web),
    apiKeyLine('only-online', keys.online, ['online']),
    apiKeyLine('only-batch', keys.batch, ['batch']),
  ];
  await writeFile(join(folder, 'keys'), lines.join('\n'));
  apiKeys = await ApiKeys.open(join(folder, 'keys'), { onRead: () => {} });
  issuer = await TokenIssuer.start();
  app = await startTestApp({
    models: [makeModel('credit', new StubSession(4))],
    guard: { apiKeys, idTokens: new IdTokens(issuer.settings) },
  });
  app.batches.inputs.add('gs://files/f.json');
});
afterEach(async () => {
  await app.close();
  await issuer.stop();
  apiKeys.close();
  await rm(folder, { recursive: true });
});

type Call = [method: string, path: string, body?: unknown];

const onlineCalls: Call[] = [
  ['POST', '/risk-online-prediction', person],
  ['POST', '/v1/models/credit:predict', { instances: [person] }],
  ['GET', '/v1/models'],
  ['GET', '/v1/models/credit'],
  ['GET', '/v2'],
  ['GET', '/v2/models'],
  ['GET', '/v2/models/credit'],
  ['GET', '/v2/models/credit/versions/1'],
  ['GET', '/v2/models/credit/ready'],
  [
    'POST',
    '/v2/models/credit/infer',
    { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [30, 1, 1, 1] }] },
  ],
];
const batchCalls: Call[] = [
  ['POST', '/batches', { input: 'gs://files/f.json', idempotencyKey: 'k1' }],
  ['GET', '/batches'],
  ['GET', '/batches/k1'],
  ['DELETE', '/batches/k1'],
];
/** With other answers than 200. */
const moreCalls: Call[] = [
  ['POST', '/risk-batch-prediction', {}],
  ['GET', '/predictions/7'],
];
const openPaths = [
  '/',
  '/livez',
  '/readyz',
  '/healthcheck',
  '/metrics',
  '/v2/health/live',
  '/v2/health/ready',
  '/docs',
  '/docs/start.js',
  '/openapi.json',
];

function call([method, path, body]: Call, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(app.url + path, {
    method,
    headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

describe('who is asked', () => {
  test.each(openPaths)('%s is open', async (path) => {
    expect((await call(['GET', path])).status).toBe(200);
  });

  test.each([...onlineCalls, ...batchCalls, ...moreCalls])('%s %s is not', async (...request) => {
    expect((await call(request)).status).toBe(401);
  });

  test.each([
    ['/RISK-ONLINE-PREDICTION'],
    ['/risk-online-prediction/'],
    ['//risk-online-prediction'],
    ['/v1/models/credit%3Apredict'],
    ['/batches/'],
    ['/BATCHES'],
    ['/docs/../batches'],
    ['/docs/%2e%2e/batches'],
  ])('nor is %s another way in', async (path) => {
    for (const method of ['POST', 'GET', 'PUT', 'OPTIONS']) {
      const response = await call([method, path, ...(method === 'GET' ? [] : [person])] as Call);
      expect([method, [401, 404].includes(response.status)]).toEqual([method, true]);
    }
  });

  test.each(['web', 'token'])('%s may do everything', async (who) => {
    const headers = bearer(who === 'web' ? keys.web : await issuer.sign());
    for (const request of [...onlineCalls, ...batchCalls]) {
      expect([request[1], (await call(request, headers)).ok]).toEqual([request[1], true]);
    }
  });

  test('a key may come as x-api-key, and a scheme may be written in any case', async () => {
    const ways: Record<string, string>[] = [{ 'x-api-key': keys.web }, { authorization: `bearer  ${keys.web}` }];
    for (const headers of ways) {
      expect((await call(['GET', '/batches'], headers)).status).toBe(200);
    }
  });

  test('a caller may do what its roles say', async () => {
    for (const [key, may, mayNot] of [
      [keys.online, onlineCalls, batchCalls],
      [keys.batch, batchCalls, onlineCalls],
    ] as const) {
      for (const request of may)
        expect([request[1], (await call(request, bearer(key))).ok]).toEqual([request[1], true]);
      for (const request of mayNot) {
        const response = await call(request, bearer(key));
        expect([request[1], response.status]).toEqual([request[1], 403]);
        expect(Object.values((await response.json()) as object)).toEqual(['Forbidden']);
      }
    }
  });

  test('a token of somebody who is not allowed is forbidden', async () => {
    const token = await issuer.sign({ email: 'else@project.iam.example' });
    expect((await call(['GET', '/batches'], bearer(token))).status).toBe(403);
  });
});

describe('401', () => {
  const now = Math.floor(Date.now() / 1_000);
  const wrong: [why: string, headers: () => Promise<Record<string, string>>][] = [
    ['nothing', async () => ({})],
    ['an unknown key', async () => bearer(keys.unknown)],
    ['an unknown x-api-key beside a good key', async () => ({ 'x-api-key': keys.unknown, ...bearer(keys.web) })],
    ['an empty x-api-key', async () => ({ 'x-api-key': '' })],
    ['another scheme', async () => ({ authorization: `Basic ${btoa(`web:${keys.web}`)}` })],
    ['a key without a scheme', async () => ({ authorization: keys.web })],
    ['an expired token', async () => bearer(await issuer.sign({ exp: now - 3_600 }))],
    ['a token for somebody else', async () => bearer(await issuer.sign({ aud: 'https://other.example' }))],
    ['a token of somebody else', async () => bearer(await issuer.sign({ iss: 'https://other.example' }))],
    ['a token without email', async () => bearer(await issuer.sign({ email: undefined }))],
    [
      'a token of a key that is unknown',
      async () => {
        await issuer.addKey('unknown', 'ES256');
        issuer.withdrawKey('unknown');
        return bearer(await issuer.sign({}, { kid: 'unknown', alg: 'ES256' }));
      },
    ],
    ['what is no token', async () => bearer('a.b.c')],
  ];

  test('is the same answer whatever is wrong; the log has the reason', async () => {
    const answers = [];
    for (const [, headers] of wrong) {
      const response = await call(['POST', '/risk-online-prediction', person], await headers());
      const { 'x-request-id': _id, date: _date, ...rest } = Object.fromEntries(response.headers);
      answers.push({ status: response.status, headers: rest, body: await response.text() });
    }
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Bearer', 'content-type': 'application/json; charset=utf-8' },
      body: '{"detail":"Unauthorized"}',
    });
    await until(() => app.logs.filter(({ refused }) => refused !== undefined).length === wrong.length);
    expect(new Set(app.logs.map(({ refused }) => refused)).size).toBeGreaterThan(5);
    expect(app.logs).toContainEqual(expect.objectContaining({ refused: 'token: claim aud' }));
  });

  test('has the shape of its protocol', async () => {
    expect(await (await call(['GET', '/v2/models'])).text()).toBe('{"error":"Unauthorized"}');
    expect(await (await call(['GET', '/v1/models'])).text()).toBe('{"error":"Unauthorized"}');
  });

  test('comes before the body is looked at', async () => {
    const response = await app.post('/risk-online-prediction', '{'.repeat(1_000_000));
    expect(response.status).toBe(401);
  });

  test('is counted by its route', async () => {
    await call(['GET', '/batches/1234']);
    let text = '';
    await until(async () => {
      text = await (await call(['GET', '/metrics'])).text();
      return text.includes('route="/batches/{id}",method="GET",code="401"} 1');
    });
    expect(text).toContain('riskmodel_access_decisions_total{access="batch",outcome="unauthenticated"} 1');
  });
});

test('an issuer that can’t be reached is 503 without a detail, for its tokens alone', async () => {
  issuer.failure = { status: 500, body: '{}' };
  const response = await call(['GET', '/batches'], bearer(await issuer.sign()));
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
  expect(await response.json()).toEqual({ detail: 'Service Unavailable' });
  expect((await call(['GET', '/batches'], bearer(keys.web))).status).toBe(200);
  expect(app.logs).toContainEqual(expect.objectContaining({ severity: 'WARNING', message: 'answering 503' }));
});

test('no key and no token, and no part of one, is in what is logged', async () => {
  const tokens = [
    await issuer.sign(),
    await issuer.sign({ exp: 1 }),
    await issuer.sign({ email: 'else@project.iam.example' }),
  ];
  issuer.failure = undefined;
  const secrets = [...Object.values(keys), ...tokens];
  for (const secret of secrets) {
    for (const request of [...onlineCalls, ...batchCalls]) await call(request, bearer(secret));
    await call(['GET', `/batches?token=${secret}`], { 'x-api-key': secret });
    await call(['GET', '/batches'], { authorization: `Basic ${secret}` });
  }
  issuer.failure = { status: 500, body: '{}' };
  const fresh = await startTestApp({
    models: [makeModel('credit', new StubSession(4))],
    guard: { idTokens: new IdTokens(issuer.settings) },
  });
  await fetch(`${fresh.url}/batches`, { headers: bearer(tokens[0] as string) });
  await fresh.close();
  const requests = secrets.length * (onlineCalls.length + batchCalls.length + 2);
  await until(() => app.logs.filter(({ httpRequest }) => httpRequest !== undefined).length === requests);
  const text = JSON.stringify([...app.logs, ...fresh.logs]);
  expect(text).toContain('token: ERR_JWT_EXPIRED');
  // The header of a token, its first part, is the same for all and no secret.
  const parts = secrets.flatMap((secret) => (secret.includes('.') ? secret.split('.').slice(1) : [secret.slice(4)]));
  expect(parts.filter((part) => text.includes(part.slice(0, 16)))).toEqual([]);
});

const audits = (): Record<string, unknown>[] => app.logs.filter(({ audit }) => audit === true);

describe('the audit log', () => {
  test('has one line for each batch that is submitted or called off, with who and what', async () => {
    const body = { input: 'gs://files/f.json', idempotencyKey: 'secret-name' };
    await app.post('/batches', body, { ...bearer(keys.web), 'x-request-id': 'r1' });
    await call(['DELETE', '/batches/secret-name'], bearer(await issuer.sign()));
    const common = { severity: 'INFO', time: expect.any(String), program: 'server', audit: true };
    expect(audits()).toEqual([
      {
        ...common,
        message: 'batch submit accepted',
        action: 'batch.submit',
        outcome: 'accepted',
        caller: 'web',
        authentication: 'api-key',
        model: 'credit',
        input: 'gs://files/f.json',
        batchId: 'secret-name',
        // sha256sum of it
        idempotencyKeySha256: '433144222dd782914bad9c7a49fb677d799ee3e15d5dca664e24df2811fcb406',
        requestId: 'r1',
      },
      {
        ...common,
        message: 'batch cancel accepted',
        action: 'batch.cancel',
        outcome: 'accepted',
        caller: allowedEmail,
        authentication: 'oidc',
        model: 'credit',
        input: 'gs://files/f.json',
        batchId: 'secret-name',
        requestId: expect.any(String),
      },
    ]);
  });

  test.each([
    ['a body that is none', ['POST', '/batches', { input: 1 }], 422, 'submit', {}],
    [
      'an unknown model',
      ['POST', '/batches', { model: 'x', input: 'gs://files/f.json' }],
      404,
      'submit',
      { model: 'x' },
    ],
    ['an unknown batch', ['DELETE', '/batches/nothing'], 404, 'cancel', { batchId: 'nothing' }],
    [
      'a file that is not there',
      ['POST', '/risk-batch-prediction', { BUCKET_NAME: 'files', FILEPATH: 'no' }],
      404,
      'submit',
      { input: 'gs://files/no' },
    ],
  ] as [string, Call, number, string, object][])('tells of %s', async (_why, request, status, action, what) => {
    expect((await call(request, bearer(keys.web))).status).toBe(status);
    expect(audits()).toEqual([
      expect.objectContaining({ action: `batch.${action}`, outcome: 'refused', status, caller: 'web', ...what }),
    ]);
  });

  test('tells of a caller who may not, and not of those who only look', async () => {
    for (const request of batchCalls) await call(request, bearer(keys.online));
    await call(['GET', '/batches'], bearer(keys.web));
    expect(audits().map(({ action, outcome, status, caller }) => [action, outcome, status, caller])).toEqual([
      ['batch.submit', 'refused', 403, 'only-online'],
      ['batch.cancel', 'refused', 403, 'only-online'],
    ]);
  });

  test('tells of the batch before its end is waited for', async () => {
    const waiting = app.post(
      '/risk-batch-prediction',
      { BUCKET_NAME: 'files', FILEPATH: 'f.json' },
      { ...bearer(keys.web) },
    );
    await until(() => audits().length > 0);
    expect(audits()).toEqual([
      expect.objectContaining({ outcome: 'accepted', input: 'gs://files/f.json', caller: 'web' }),
    ]);
    for (const [id, batch] of app.batches.batches) app.batches.batches.set(id, { ...batch, state: 'done' });
    expect((await waiting).status).toBe(200);
  });
});

describe('limits', () => {
  let limited: TestApp;
  const open = async (guard: Parameters<typeof startTestApp>[0]['guard']): Promise<void> => {
    limited = await startTestApp({ models: [makeModel('credit', new StubSession(4))], guard });
  };
  afterEach(() => limited.close());
  const predict = (headers: Record<string, string> = {}): Promise<Response> =>
    limited.post('/risk-online-prediction', person, headers);

  test('are those of each caller', async () => {
    await open({ apiKeys, limiters: { online: new RateLimiter('online', { requests: 2, seconds: 3_600 }) } });
    const first = await predict(bearer(keys.web));
    expect(first.status).toBe(200);
    expect(first.headers.get('ratelimit-policy')).toBe('"online";q=2;w=3600');
    expect(first.headers.get('ratelimit')).toMatch(/^"online";r=1;t=3600$/);
    expect((await predict(bearer(keys.web))).status).toBe(200);
    const third = await predict(bearer(keys.web));
    expect([third.status, await third.json()]).toEqual([429, { detail: 'Too Many Requests' }]);
    expect(third.headers.get('ratelimit')).toMatch(/^"online";r=0;t=\d+$/);
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(3_000);
    // Another caller, looking, and batches have nothing to do with it.
    expect((await predict(bearer(keys.online))).status).toBe(200);
    for (const path of ['/v2/models', '/batches']) {
      expect((await fetch(limited.url + path, { headers: bearer(keys.web) })).status).toBe(200);
    }
    expect((await limited.post('/batches', { input: 'gs://files/f' }, bearer(keys.web))).status).toBe(202);
    const metrics = await (await fetch(`${limited.url}/metrics`)).text();
    expect(metrics).toContain('riskmodel_access_decisions_total{access="online",outcome="limited"} 1');
    expect(metrics).not.toContain('web');
  });

  test('are everybody’s together where nobody is asked', async () => {
    await open({ limiters: { online: new RateLimiter('online', { requests: 1, seconds: 3_600 }) } });
    expect([(await predict()).status, (await predict()).status]).toEqual([200, 429]);
  });

  test('of batches are in the audit log', async () => {
    await open({ apiKeys, limiters: { batch: new RateLimiter('batch', { requests: 1, seconds: 3_600 }) } });
    for (let i = 0; i < 2; i++) await limited.post('/batches', { input: 'gs://files/f' }, bearer(keys.web));
    const lines = limited.logs.filter(({ audit }) => audit === true);
    expect(lines.map(({ outcome, status }) => [outcome, status])).toEqual([
      ['accepted', undefined],
      ['refused', 429],
    ]);
  });
});

describe('the API’s document', () => {
  interface Document {
    security?: unknown;
    paths: Record<string, Record<string, { security?: unknown; responses: Record<string, unknown> }>>;
    components: { securitySchemes?: Record<string, unknown> };
  }
  const read = async (from: TestApp): Promise<Document> =>
    (await (await fetch(`${from.url}/openapi.json`)).json()) as Document;

  test('says how to show who one is, and where nobody asks', async () => {
    const document = await read(app);
    const { valid, errors } = await new Validator().validate(document as unknown as Record<string, unknown>);
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
    expect(document.security).toEqual([{ bearer: [] }, { apiKey: [] }]);
    expect(Object.keys(document.components.securitySchemes ?? {})).toEqual(['bearer', 'apiKey']);
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, { security, responses }] of Object.entries(operations)) {
        // The document says what the server does.
        const { status } = await call([method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x')]);
        const expected = status === 401 ? [undefined, true, true] : [[], false, false];
        expect([path, security, '401' in responses, '403' in responses]).toEqual([path, ...expected]);
      }
    }
  });

  test('has nothing of it where nobody is asked', async () => {
    const free = await startTestApp({ models: [makeModel('credit', new StubSession(4))] });
    const text = JSON.stringify(await read(free));
    await free.close();
    expect(text).not.toMatch(/security|"401"|"403"|"429"/);
  });

  test('tells of limits where there are some', async () => {
    const limiters = { online: new RateLimiter('online', { requests: 1, seconds: 1 }) };
    const limited = await startTestApp({ models: [makeModel('credit', new StubSession(4))], guard: { limiters } });
    const { paths } = await read(limited);
    await limited.close();
    const with429 = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { responses }]) =>
        '429' in responses ? [`${method} ${path}`] : [],
      ),
    );
    expect(with429).toEqual([
      'post /risk-online-prediction',
      'post /v1/models/credit:predict',
      'post /v2/models/credit/infer',
      'post /v2/models/credit/versions/1/infer',
    ]);
  });
});
