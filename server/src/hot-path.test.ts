import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request as send, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { makeApp } from './app.ts';
import { makeModel, someFeatures, startTestApp, StubSession, type TestApp } from './testing/test-app.ts';
import { until } from './testing/until.ts';

jest.setTimeout(120_000);

/** The whole server, and the app alone that is behind its hot path. */
let hot: TestApp;
let plain: TestApp;

beforeAll(async () => {
  const options = { models: [makeModel('credit', new StubSession(4))], bodyLimit: 2_000 };
  hot = await startTestApp(options);
  plain = await startTestApp({ ...options, handler: makeApp });
});
afterAll(async () => {
  await hot.close();
  await plain.close();
});

interface Call {
  path: string;
  headers: Record<string, string>;
  body: Buffer;
}

interface Answer {
  status: number | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

async function answerOf(app: TestApp, { path, headers, body }: Call): Promise<Answer> {
  const outgoing = send(app.url + path, { method: 'POST', headers: { 'x-request-id': 'one', ...headers } });
  outgoing.end(body);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  const { date: _, ...others } = answer.headers;
  return { status: answer.statusCode, headers: others, body: (await buffer(answer)).toString('latin1') };
}

const paths = [
  '/risk-online-prediction',
  '/v1/models/credit:predict',
  '/v2/models/credit/infer',
  '/v2/models/credit/versions/1/infer',
];

const number = fc.oneof(fc.integer({ min: 18, max: 99 }), fc.constantFrom(1, 2), fc.double(), fc.integer());
const value = fc.oneof({ weight: 5, arbitrary: number }, fc.constantFrom(null, true, '7', [], {}));
const record = fc.record(Object.fromEntries(someFeatures.map(({ name }) => [name, value])), { requiredKeys: [] });
const validRecord = fc.record({
  AGE: fc.integer({ min: 18, max: 99 }),
  SEX: fc.constantFrom(1, 2),
  INCOME: fc.float({ noNaN: true, noDefaultInfinity: true }),
  OWNER: fc.boolean(),
});
const instances = fc.record({ instances: fc.array(fc.oneof(validRecord, record, fc.array(value, { maxLength: 5 }))) });
const tensor = fc.record(
  {
    name: fc.constantFrom('input', 'AGE', 'SEX', 'INCOME', 'OWNER', 'other'),
    datatype: fc.constantFrom('FP32', 'FP64', 'INT32', 'BOOL', 'BYTES'),
    shape: fc.oneof(fc.constantFrom([1, 4], [2, 4], [1], [1, 1]), fc.array(fc.nat(3))),
    data: fc.oneof(fc.constant([30, 1, 5, 1]), fc.array(value, { maxLength: 8 })),
  },
  { requiredKeys: ['name', 'datatype', 'shape'] },
);
const inference = fc.record(
  {
    id: fc.string(),
    inputs: fc.array(tensor, { maxLength: 4 }),
    outputs: fc.constantFrom([], [{ name: 'decision' }], [{ name: 'decision', parameters: { binary_data: true } }]),
  },
  { requiredKeys: ['inputs'] },
);
const goodInference = fc.record({
  inputs: fc.constant([{ name: 'input', datatype: 'FP32', shape: [1, 4], data: [30, 1, 5, 1] }]),
  parameters: fc.constantFrom({}, { binary_data_output: true }),
});
const json = fc.oneof(validRecord, record, instances, inference, goodInference, fc.jsonValue());
const body = fc.oneof(
  { weight: 4, arbitrary: json.map((content) => Buffer.from(JSON.stringify(content))) },
  // Cut short, or with something in it that does not belong there.
  fc.tuple(json, fc.nat(200), fc.constantFrom('', ',', '}', '\u0000', '[[')).map(([content, at, extra]) => {
    const text = JSON.stringify(content);
    return Buffer.from(text.slice(0, at) + extra);
  }),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.alloc(3_000, ' ')),
);
const headers = fc.record(
  {
    'content-type': fc.constantFrom('application/json', 'application/json; charset=utf-8', 'text/plain', 'a/b+json'),
    'content-encoding': fc.constantFrom('identity', 'gzip', 'br', 'zip'),
    'inference-header-content-length': fc.constantFrom('10', '80', 'x'),
    traceparent: fc.constantFrom('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'x'),
  },
  { requiredKeys: [] },
);
const jsonHeaders = fc.constant({ 'content-type': 'application/json' });
/** Bodies that fit the call; of those drawn apart from it few do. */
const fitting = fc.oneof(
  fc.record({ path: fc.constant(paths[0] as string), content: validRecord }),
  fc.record({ path: fc.constant(paths[1] as string), content: instances }),
  fc.record({ path: fc.constantFrom(...paths.slice(2)), content: goodInference }),
);
const call: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ fits: fitting, headers: jsonHeaders }).map(({ fits: { path, content }, headers: own }) => ({
    path,
    headers: own,
    body: Buffer.from(JSON.stringify(content)),
  })),
  fc.record({ path: fc.constantFrom(...paths), headers: fc.oneof(jsonHeaders, headers), body }),
);

test('answers as the app behind it does, whatever comes', async () => {
  const statuses = new Map<number | undefined, number>();
  await fc.assert(
    fc.asyncProperty(
      call,
      fc.integer({ min: 0, max: 4 }).map((drawn) => drawn === 0),
      async (drawn, compressed) => {
        const asked = compressed
          ? { ...drawn, headers: { ...drawn.headers, 'content-encoding': 'gzip' }, body: gzipSync(drawn.body) }
          : drawn;
        const answer = await answerOf(hot, asked);
        expect(answer).toEqual(await answerOf(plain, asked));
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      },
    ),
    { numRuns: 1_500, seed: 6 },
  );
  // What is compared is not refusals alone.
  expect(statuses.get(200)).toBeGreaterThan(100);
  expect(statuses.get(400)).toBeGreaterThan(100);
  expect([...statuses.keys()]).toEqual(expect.arrayContaining([413, 415, 422]));
});

describe.each(paths)('%s', (path) => {
  test('is counted by its pattern and logged with its id, once', async () => {
    const id = randomUUID();
    await answerOf(hot, { path, headers: { 'x-request-id': id }, body: Buffer.from('{}') });
    const linesOfIt = (): Record<string, unknown>[] => hot.logs.filter((line) => line['requestId'] === id);
    // A request is logged when its connection is done with it, which the client may see earlier.
    await until(() => linesOfIt().length > 0);
    const lines = linesOfIt();
    const pattern = path.replace('credit', '{model}').replace('/1/', '/{version}/');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.['message']).toMatch(`POST ${pattern} 4`);
  });
});
