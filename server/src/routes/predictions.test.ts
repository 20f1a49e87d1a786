import { RiskModelError } from '@riskmodel/core/errors.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';
import { until } from '../testing/until.ts';

const stored = {
  prob0: 0.25,
  prob1: 0.75,
  decision: 1 as const,
  batchId: '8ec77c88-4c95-4b85-a83d-3991867218bb',
  modelVersion: '1',
  predDatetime: '2026-11-24T07:12:44.042Z',
};

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp({ models: [makeModel('credit', new StubSession(4))] });
});
afterEach(() => app.close());

test("the latest prediction is answered under the record's identifier", async () => {
  app.predictions.stored.set('credit a/b ü', stored);
  expect(await app.get('/predictions/a%2Fb%20%C3%BC')).toEqual({
    status: 200,
    body: {
      model: 'credit',
      id: 'a/b ü',
      prob_0: 0.25,
      prob_1: 0.75,
      decision: 1,
      batchId: '8ec77c88-4c95-4b85-a83d-3991867218bb',
      modelVersion: '1',
      predDatetime: '2026-11-24T07:12:44.042Z',
    },
  });
});

test('without one the answer is 404 and says why there may be none', async () => {
  const { status, body } = await app.get('/predictions/1234');
  expect(status).toBe(404);
  expect((body as { detail: string }).detail).toMatch(/^no batch of model "credit" has a prediction .*batch\.lookup/);
});

test('of several models one is named', async () => {
  const several = await startTestApp({ models: ['a', 'b'].map((name) => makeModel(name, new StubSession(4))) });
  several.predictions.stored.set('b 7', stored);
  expect(await several.get('/predictions/7?model=b')).toMatchObject({ status: 200, body: { model: 'b' } });
  expect(await several.get('/predictions/7?model=a')).toMatchObject({ status: 404 });
  expect(await several.get('/predictions/7?model=c')).toMatchObject({
    status: 404,
    body: { detail: 'model "c" is not served here; served are: a, b' },
  });
  for (const [query, type] of [
    ['', 'missing'],
    ['?model=a&model=b', 'string_type'],
  ] as const) {
    expect(await several.get(`/predictions/7${query}`)).toEqual({
      status: 422,
      body: { detail: [{ loc: ['query', 'model'], msg: 'must be given once: one of a, b', type }] },
    });
  }
  await several.close();
});

test('a Redis that is away is 503, to be tried again', async () => {
  app.predictions.get = () =>
    Promise.reject(new RiskModelError('LookupUnavailable', 'Redis does not answer', { retry: 'later' }));
  const response = await fetch(`${app.url}/predictions/1234`);
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
});

test('no log has the identifier, whatever becomes of the request', async () => {
  app.predictions.stored.set('credit person-7', stored);
  await app.get('/predictions/person-7');
  await app.get('/predictions/person-8?model=credit');
  await fetch(`${app.url}/predictions/person-9`, { method: 'DELETE' });
  await app.get('/predictions/person-10/more');
  // A request is logged when its connection is done with it, which the client may see earlier.
  await until(() => app.logs.length >= 4);
  expect(JSON.stringify(app.logs)).not.toContain('person');
  expect(app.logs[0]).toMatchObject({ httpRequest: { requestUrl: '/predictions/{id}', status: 200 } });
});
