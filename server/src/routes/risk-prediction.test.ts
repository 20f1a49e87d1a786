import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeBatch, makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';
import { until } from '../testing/until.ts';

const person = { AGE: 40, SEX: 1, INCOME: 2_500.5, OWNER: true };

describe('POST /risk-online-prediction', () => {
  let session: StubSession;
  let app: TestApp;
  beforeEach(async () => {
    session = new StubSession(4);
    app = await startTestApp({ models: [makeModel('credit', session)], bodyLimit: 2_000 });
  });
  afterEach(() => app.close());

  test('answers the probabilities of both classes', async () => {
    const response = await app.post('/risk-online-prediction', person);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await response.json()).toEqual([Math.fround(0.6), Math.fround(0.4)]);
  });

  test('ignores BATCH_FLAG, unknown fields and names that would reach a prototype', async () => {
    const body = '{"AGE":40,"SEX":1,"BATCH_FLAG":0,"x":[1],"__proto__":{"SEX":"no"},"constructor":1,"toString":2}';
    const response = await app.post('/risk-online-prediction', body);
    expect(response.status).toBe(200);
    expect(({} as Record<string, unknown>)['SEX']).toBeUndefined();
  });

  test('names every field that is wrong, and no value', async () => {
    const response = await app.post('/risk-online-prediction', { AGE: 17.25, INCOME: '31337', OWNER: 2 });
    expect(response.status).toBe(422);
    const text = await response.text();
    expect(JSON.parse(text)).toEqual({
      detail: [
        { loc: ['body', 'AGE'], msg: 'must be >= 18', type: 'greater_than_equal' },
        { loc: ['body', 'SEX'], msg: 'is missing', type: 'missing' },
        { loc: ['body', 'INCOME'], msg: 'must be a number', type: 'number_type' },
        { loc: ['body', 'OWNER'], msg: 'must be true or false', type: 'bool_type' },
      ],
    });
    expect(session.runs).toEqual([]);
  });

  test.each([
    ['1e999', 'finite_number'],
    ['-1e999', 'finite_number'],
    ['9007199254740993', 'less_than_equal'],
    ['123456789012345678901234567890', 'less_than_equal'],
    ['[40]', 'number_type'],
    ['{"valueOf":40}', 'number_type'],
    ['"40"', 'number_type'],
    ['true', 'number_type'],
    ['40.5', 'int_type'],
    ['null', 'missing'],
  ])('refuses an AGE of %s as %s', async (value, type) => {
    const response = await app.post('/risk-online-prediction', `{"AGE":${value},"SEX":1}`);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ detail: [{ loc: ['body', 'AGE'], type }] });
  });

  test.each(['[]', '[{}]', '1', 'null', '"text"', 'true'])('refuses the body %s, which is no object', async (body) => {
    const response = await app.post('/risk-online-prediction', body);
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({
      detail: [{ loc: ['body'], msg: 'must be a JSON object', type: 'dict_type' }],
    });
  });

  test.each([
    ['{"AGE": secret}', 'body: is not valid JSON at line 1, column 9'],
    ['{\n "AGE": 1,,\n}', 'body: is not valid JSON at line 2, column 11'],
    ['{"AGE": 1', 'body: is not valid JSON: it ends too early'],
    ['', 'body: is empty; expected JSON'],
  ])('tells where %j is broken', async (body, detail) => {
    const response = await app.post('/risk-online-prediction', body);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ detail });
  });

  test('a body that is deep and large is refused, a deep one is wrong like any other', async () => {
    expect((await app.post('/risk-online-prediction', '['.repeat(1_900))).status).toBe(400);
    const roomy = await startTestApp({ models: [makeModel('credit', session)] });
    const response = await roomy.post('/risk-online-prediction', '['.repeat(8 << 20));
    await roomy.close();
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ detail: 'body: arrays and objects are nested too deep' });
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'multipart/form-data'])(
    'answers 415 to %s',
    async (type) => {
      const response = await app.post('/risk-online-prediction', person, { 'content-type': type });
      expect(response.status).toBe(415);
      expect(await response.json()).toEqual({ detail: 'Content-Type: must be application/json' });
    },
  );

  test.each(['application/json; charset=utf-8', 'Application/JSON', 'application/vnd.api+json'])(
    'takes %s for JSON',
    async (type) => {
      expect((await app.post('/risk-online-prediction', person, { 'content-type': type })).status).toBe(200);
    },
  );

  test('a body over the limit is 413, whether its length is told or not, and the connection can go on', async () => {
    const large = JSON.stringify({ ...person, x: 'y'.repeat(3_000) });
    const told = await app.post('/risk-online-prediction', large);
    expect(told.status).toBe(413);
    expect(await told.json()).toEqual({ detail: 'body: is larger than the limit of 2000 bytes' });
    const streamed = await fetch(`${app.url}/risk-online-prediction`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([large]).stream(),
      duplex: 'half',
    });
    expect(streamed.status).toBe(413);
    expect((await app.post('/risk-online-prediction', person)).status).toBe(200);
  });

  test('takes compressed bodies, within the same limit', async () => {
    const gzip = { 'content-encoding': 'gzip' };
    expect((await app.post('/risk-online-prediction', gzipSync(JSON.stringify(person)), gzip)).status).toBe(200);
    const bomb = gzipSync(JSON.stringify({ x: ' '.repeat(100_000) }));
    expect((await app.post('/risk-online-prediction', bomb, gzip)).status).toBe(413);
    expect((await app.post('/risk-online-prediction', '{}', gzip)).status).toBe(400);
    expect((await app.post('/risk-online-prediction', '{}', { 'content-encoding': 'zstd' })).status).toBe(415);
  });

  test('a model that fails is 500, and is logged with the request id', async () => {
    session.beforeRun = () => Promise.reject(new Error('bad node'));
    const response = await app.post('/risk-online-prediction', person, { 'x-request-id': 'abc-1' });
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ detail: 'Internal prediction error' });
    expect(app.logs).toContainEqual(
      expect.objectContaining({
        severity: 'ERROR',
        requestId: 'abc-1',
        err: expect.objectContaining({ message: 'bad node' }),
      }),
    );
  });

  test('other methods are told which there is', async () => {
    const response = await fetch(`${app.url}/risk-online-prediction`);
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });

  test('without a default among several models it says what to do', async () => {
    const several = await startTestApp({ models: [makeModel('a', session), makeModel('b', session)] });
    const response = await several.post('/risk-online-prediction', person);
    await several.close();
    expect(response.status).toBe(409);
    expect(((await response.json()) as { detail: string }).detail).toContain('RISKMODEL_DEFAULT_MODEL');
  });

  test('the default model is the one that was named', async () => {
    const other = new StubSession(4);
    const models = [makeModel('a', session), makeModel('b', other)];
    const several = await startTestApp({ models, defaultModel: 'b' });
    expect((await several.post('/risk-online-prediction', person)).status).toBe(200);
    await several.close();
    expect([session.runs, other.runs]).toEqual([[], [1]]);
  });
});

describe('POST /risk-batch-prediction', () => {
  const body = { BUCKET_NAME: 'bucket', FILEPATH: 'in/file.json' };
  const uri = 'gs://bucket/in/file.json';
  let app: TestApp;
  beforeEach(async () => {
    app = await startTestApp({ models: [makeModel('credit', new StubSession(4))] });
    app.batches.inputs.add(uri);
  });
  afterEach(() => app.close());

  /** Gives the batch that the next request makes its end, a little later. */
  async function endWith(fields: Parameters<typeof makeBatch>[1]): Promise<void> {
    await until(() => app.batches.batches.size > 0);
    const [id] = app.batches.batches.keys();
    app.batches.batches.set(id as string, makeBatch(id as string, fields));
  }

  test('waits for the end and answers "Done"', async () => {
    const [response] = await Promise.all([app.post('/risk-batch-prediction', body), endWith({ state: 'done' })]);
    expect(response.status).toBe(200);
    expect(await response.json()).toBe('Done');
    expect(app.batches.batches.get('batch-1')).toBeDefined();
  });

  test.each([
    [404, 'File not found', { state: 'failed', error: { code: 'NotFound', message: 'gone' } }],
    [422, 'line 3: no JSON', { state: 'failed', error: { code: 'InvalidJson', message: 'line 3: no JSON' } }],
    [500, 'disk full', { state: 'failed', error: { code: 'Unforeseen', message: 'disk full' } }],
    [409, 'the batch was cancelled', { state: 'cancelled' }],
  ] as const)('answers %d %s to a batch that ended so', async (status, detail, fields) => {
    const [response] = await Promise.all([app.post('/risk-batch-prediction', body), endWith(fields)]);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ detail });
  });

  test('a file that is not there makes no batch', async () => {
    const response = await app.post('/risk-batch-prediction', { ...body, FILEPATH: 'other.json' });
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ detail: 'File not found' });
    expect(app.batches.batches.size).toBe(0);
  });

  test('with Prefer: respond-async it answers at once where to look', async () => {
    const response = await app.post('/risk-batch-prediction', body, { prefer: 'respond-async, wait=10' });
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe('/batches/batch-1');
    expect(response.headers.get('preference-applied')).toBe('respond-async');
    expect(await response.json()).toMatchObject({ id: 'batch-1', state: 'queued' });
  });

  test('names the fields that are missing', async () => {
    const response = await app.post('/risk-batch-prediction', { FILEPATH: 7 });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      detail: [
        { loc: ['body', 'BUCKET_NAME'], type: 'missing' },
        { loc: ['body', 'FILEPATH'], type: 'string_type' },
      ],
    });
  });

  test('a client that goes away is waited for no longer, and the batch is left alone', async () => {
    let looks = 0;
    app.batches.get = async (id) => {
      looks++;
      return app.batches.batches.get(id);
    };
    const request = httpRequest(`${app.url}/risk-batch-prediction`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    request.on('error', () => {});
    request.end(JSON.stringify(body));
    await until(() => looks > 0);
    request.destroy();
    await until(() => app.logs.some(({ httpRequest }) => httpRequest !== undefined));
    const seen = looks;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(looks).toBe(seen);
    expect(app.batches.batches.get('batch-1')?.state).toBe('queued');
    expect(app.logs).toContainEqual(expect.objectContaining({ httpRequest: expect.objectContaining({ status: 499 }) }));
  });

  test('a server that goes away says where the batch goes on', async () => {
    const waiting = app.post('/risk-batch-prediction', body);
    await until(() => app.batches.batches.size > 0);
    app.closing.abort();
    const response = await waiting;
    expect(response.status).toBe(503);
    expect(response.headers.get('location')).toBe('/batches/batch-1');
  });
});
