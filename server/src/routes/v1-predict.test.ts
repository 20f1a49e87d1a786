import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';

describe('KServe V1', () => {
  let session: StubSession;
  let app: TestApp;
  const predict = (body: unknown): Promise<Response> => app.post('/v1/models/credit:predict', body);
  beforeEach(async () => {
    session = new StubSession(4);
    app = await startTestApp({ models: [makeModel('credit', session)] });
  });
  afterEach(() => app.close());

  test('takes objects and arrays, mixed, and scores them in one run', async () => {
    const response = await predict({ instances: [{ AGE: 20, SEX: 1 }, [30, 2, null, false], [40, 1, 7.5, 1]] });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      predictions: [0.2, 0.3, 0.4].map((one) => [Math.fround(1 - Math.fround(one)), Math.fround(one)]),
    });
    expect(session.runs).toEqual([3]);
  });

  test('no instances are no predictions', async () => {
    expect(await (await predict({ instances: [] })).json()).toEqual({ predictions: [] });
  });

  test('names the instance and the feature, at most ten, and counts the rest', async () => {
    const instances = [{ AGE: 20, SEX: 1 }, [1, 2], 7, ...Array.from({ length: 10 }, () => ({ AGE: 17, SEX: 1 }))];
    const response = await predict({ instances });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: string };
    expect(error.split('; ')).toEqual([
      'instance 1: has 2 values',
      'the model takes 4',
      'instance 2: must be an object by feature name or an array in feature order',
      ...Array.from({ length: 8 }, (_, i) => `instance ${i + 3}: AGE: must be >= 18`),
      'and 2 more',
    ]);
    expect(session.runs).toEqual([]);
  });

  test.each([[[]], [{}], [{ instances: {} }], ['{"instances":']])('refuses %j', async (body) => {
    const response = await predict(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.any(String) });
  });

  test('more instances than a request may hold are 413', async () => {
    const response = await predict(`{"instances":[${'0,'.repeat(65_536)}0]}`);
    expect(response.status).toBe(413);
  });

  test('a failing run is 500 in the shape of the protocol', async () => {
    session.beforeRun = () => Promise.reject(new Error('bad node'));
    const response = await predict({ instances: [[30, 2, 1, 1]] });
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ error: 'Internal prediction error' });
  });

  test('tells which models there are and whether one is ready', async () => {
    expect(await app.get('/v1/models')).toEqual({ status: 200, body: { models: ['credit'] } });
    expect(await app.get('/v1/models/credit')).toEqual({ status: 200, body: { name: 'credit', ready: true } });
    expect(await app.get('/v1/models/none')).toEqual({
      status: 404,
      body: { error: expect.stringContaining('served are: credit') },
    });
    expect(await app.get('/v1/models/credit:predict')).toEqual({ status: 405, body: { error: 'Method Not Allowed' } });
    expect(await app.get('/v1/models/%ff')).toEqual({ status: 400, body: { error: expect.any(String) } });
  });
});
