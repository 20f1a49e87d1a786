import { RiskModelError } from '@riskmodel/core/errors.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeBatch, makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';

const input = 'gs://bucket/file.json';

function away(): Promise<never> {
  return Promise.reject(new RiskModelError('BatchServiceUnavailable', 'Redis does not answer', { retry: 'later' }));
}

describe('batches', () => {
  let app: TestApp;
  beforeEach(async () => {
    app = await startTestApp({ models: [makeModel('credit', new StubSession(4))] });
  });
  afterEach(() => app.close());

  test('POST answers 202, the batch and where to look for it', async () => {
    const response = await app.post('/batches', { model: 'credit', input });
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe('/batches/batch-1');
    expect(await response.json()).toEqual(makeBatch('batch-1'));
  });

  test('the only model need not be named, one that is not served is 404', async () => {
    expect((await app.post('/batches', { input })).status).toBe(202);
    expect((await app.post('/batches', { input, model: 'other' })).status).toBe(404);
  });

  test('several models are named in the answer to a request that names none', async () => {
    const models = ['a', 'b'].map((name) => makeModel(name, new StubSession(4)));
    const several = await startTestApp({ models, defaultModel: 'a' });
    const response = await several.post('/batches', { input });
    await several.close();
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({
      detail: [{ loc: ['body', 'model'], msg: 'is missing; must be one of a, b', type: 'missing' }],
    });
  });

  test.each([
    [{ input: 'file.json' }, ['body', 'input'], 'invalid_uri'],
    [{ input: 'gs://bucket' }, ['body', 'input'], 'invalid_uri'],
    [{ input: 'file:///etc/passwd' }, ['body', 'input'], 'invalid_uri'],
    [{}, ['body', 'input'], 'missing'],
    [{ input: 7 }, ['body', 'input'], 'string_type'],
    [{ input, action: 'Train' }, ['body', 'action'], 'enum'],
    [{ input, action: 'LoadFeatures' }, ['body', 'action'], 'enum'],
    [{ input, model: 7 }, ['body', 'model'], 'string_type'],
    [{ input, format: 'CSV' }, ['body', 'format'], 'enum'],
    [{ input, format: null }, ['body', 'format'], 'enum'],
    [{ input, idempotencyKey: 7 }, ['body', 'idempotencyKey'], 'string_type'],
    [{ input, idempotencyKey: 'k'.repeat(257) }, ['body', 'idempotencyKey'], 'string_type'],
  ])('POST %j is 422', async (body, loc, type) => {
    const response = await app.post('/batches', body);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ detail: [{ loc, type }] });
  });

  test('a format that is said goes with the request', async () => {
    let request: unknown;
    app.batches.submit = (given) => {
      request = given;
      return Promise.resolve(makeBatch('1', { format: 'csv' }));
    };
    const response = await app.post('/batches', { input, format: 'csv' });
    expect(await response.json()).toMatchObject({ format: 'csv' });
    expect(request).toMatchObject({ input, format: 'csv' });
  });

  test('an idempotency key may come in the header too, and answers the same batch', async () => {
    const first = await app.post('/batches', { input, idempotencyKey: 'k1' });
    const second = await app.post('/batches', { input }, { 'idempotency-key': 'k1' });
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(await second.json()).toEqual(await first.json());
    app.batches.batches.set('k1', makeBatch('k1', { state: 'done' }));
    expect((await app.post('/batches', { input, idempotencyKey: 'k1' })).status).toBe(200);
    const torn = await app.post('/batches', { input, idempotencyKey: 'k1' }, { 'idempotency-key': 'k2' });
    expect(torn.status).toBe(422);
  });

  test('a key that was used for another input is 409', async () => {
    app.batches.submit = () => Promise.reject(new RiskModelError('IdempotencyKeyReused', 'idempotencyKey: was used'));
    const response = await app.post('/batches', { input, idempotencyKey: 'k1' });
    expect(response.status).toBe(409);
    expect(await response.json()).toEqual({ detail: 'idempotencyKey: was used' });
  });

  test('GET lists and finds', async () => {
    app.batches.batches.set('1', makeBatch('1'));
    app.batches.batches.set('2', makeBatch('2', { model: 'other' }));
    const ids = async (query: string): Promise<string[]> => {
      const response = await fetch(`${app.url}/batches${query}`);
      return ((await response.json()) as { batches: { id: string }[] }).batches.map(({ id }) => id);
    };
    expect(await ids('')).toEqual(['1', '2']);
    expect(await ids('?model=other')).toEqual(['2']);
    expect(await ids('?limit=1')).toEqual(['1']);
    expect(await (await fetch(`${app.url}/batches/2`)).json()).toEqual(makeBatch('2', { model: 'other' }));
    expect((await fetch(`${app.url}/batches/3`)).status).toBe(404);
  });

  test.each(['?limit=0', '?limit=1001', '?limit=x', '?limit=-1', '?limit=1e3', '?limit=1&limit=2'])(
    'GET /batches%s is 422',
    async (query) => {
      expect((await fetch(`${app.url}/batches${query}`)).status).toBe(422);
    },
  );

  test('DELETE calls a batch off, again and again, but not one that is done', async () => {
    const cancel = (id: string): Promise<Response> => fetch(`${app.url}/batches/${id}`, { method: 'DELETE' });
    app.batches.batches.set('1', makeBatch('1'));
    app.batches.batches.set('2', makeBatch('2', { state: 'committing' }));
    for (let time = 0; time < 2; time++) {
      const response = await cancel('1');
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ id: '1', state: 'cancelled' });
    }
    expect((await cancel('2')).status).toBe(409);
    expect((await cancel('3')).status).toBe(404);
  });

  test('without Redis batches are 503 with Retry-After, and predictions go on', async () => {
    Object.assign(app.batches, { submit: away, get: away, list: away, cancel: away });
    const answers = await Promise.all([
      app.post('/batches', { input }),
      fetch(`${app.url}/batches`),
      fetch(`${app.url}/batches/1`),
      fetch(`${app.url}/batches/1`, { method: 'DELETE' }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
    expect(answers[0]?.headers.get('retry-after')).toBe('5');
    expect((await app.post('/risk-online-prediction', { AGE: 40, SEX: 1 })).status).toBe(200);
  });
});
