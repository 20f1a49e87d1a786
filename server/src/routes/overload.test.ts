import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { largestRun } from '../scoring/batcher.ts';
import { makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';
import { until } from '../testing/until.ts';

const row = [40, 1, 5, 1];
const words = expect.stringMatching(/^too many requests: \d+ rows wait for the model; try again later$/);

describe('while a run does not end and the queue behind it is full', () => {
  let session: StubSession;
  let app: TestApp;
  let endRuns: () => void;
  /** One that is scored, one that waits and one that was turned away, in whatever order they came. */
  let first: Promise<Response>[];

  /** The metric of requests turned away. */
  const shed = async (model: string): Promise<number> => {
    const text = await app.metrics.registry.metrics();
    return Number(new RegExp(`riskmodel_requests_shed_total\\{model="${model}"\\} (\\d+)`).exec(text)?.[1]);
  };
  const v1 = (model = 'credit', rows = largestRun): Promise<Response> =>
    app.post(`/v1/models/${model}:predict`, { instances: Array.from({ length: rows }, () => row) });
  const v2 = (): Promise<Response> =>
    app.post('/v2/models/credit/infer', {
      inputs: [{ name: 'input', shape: [1, 4], datatype: 'FP32', data: row }],
    });
  const online = (): Promise<Response> => app.post('/risk-online-prediction', { AGE: 40, SEX: 1 });

  beforeEach(async () => {
    session = new StubSession(4);
    app = await startTestApp({
      models: [makeModel('credit', session), makeModel('other', new StubSession(4))],
      defaultModel: 'credit',
      largestQueue: 1,
    });
    const ended = new Promise<void>((resolve) => (endRuns = resolve));
    session.beforeRun = () => ended;
    first = [v1(), v1(), v1()];
    await until(async () => (await shed('credit')) === 1);
  });
  afterEach(async () => {
    endRuns();
    const statuses = (await Promise.all(first)).map(({ status }) => status);
    await app.close();
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 200, 503]);
  });

  test.each([
    ['/v1', v1, { error: words }],
    ['/v2', v2, { error: words }],
    ['/risk-online-prediction', online, { detail: words }],
  ] as const)('%s turns requests away in its own shape, and counts them', async (_name, ask, body) => {
    const response = await ask();
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await response.json()).toEqual(body);
    expect([await shed('credit'), await shed('other')]).toEqual([2, 0]);
    // A crowd that is turned away does not fill the log with stack traces.
    expect(app.logs.filter(({ message }) => String(message).startsWith('answering'))).toEqual([]);
  });

  test('other models and probes are not affected, and the model answers again afterwards', async () => {
    expect((await v1('other')).status).toBe(200);
    expect((await fetch(`${app.url}/readyz`)).status).toBe(200);
    endRuns();
    await Promise.all(first);
    expect((await v1()).status).toBe(200);
  });
});
