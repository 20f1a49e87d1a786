import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { quietLogger } from '../testing/quiet-logger.ts';
import type { AdmissionRequest, AdmissionResponse } from './admission-review.ts';
import { issueCertificate } from './issue-certificate.ts';
import { makeWebhookMetrics } from './webhook-metrics.ts';
import { WebhookServer } from './webhook-server.ts';

const hour = 3_600_000;
const issue = (): ReturnType<typeof issueCertificate> =>
  issueCertificate({
    hosts: ['localhost'],
    notBefore: new Date(Date.now() - hour),
    notAfter: new Date(Date.now() + hour),
  });

const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { uid: 'u-1', kind: {} } };

let certificate: ReturnType<typeof issueCertificate>;
let server: WebhookServer;
let port: number;
let registry: Registry;
let decide: (request: AdmissionRequest) => Promise<AdmissionResponse>;

beforeEach(async () => {
  certificate = issue();
  registry = new Registry();
  decide = async ({ uid }) => ({ uid, allowed: true });
  const { logger } = quietLogger();
  const metrics = makeWebhookMetrics(registry);
  server = new WebhookServer({ port: 0, review: (asked) => decide(asked), metrics, logger }, certificate);
  port = await server.listen();
});

afterEach(() => server.close());

interface Answer {
  status: number | undefined;
  body: string;
}

async function post(
  body: string,
  { ca = certificate.ca, path = '/validate', method = 'POST', agent = new Agent() } = {},
): Promise<Answer> {
  const asked = request({ host: 'localhost', port, path, method, ca, agent });
  asked.end(body);
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

test('a review is answered with a review', async () => {
  const { status, body } = await post(JSON.stringify(review));
  expect([status, JSON.parse(body)]).toEqual([
    200,
    { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: 'u-1', allowed: true } },
  ]);
});

describe('what is no review is refused', () => {
  test.each([
    ['another path', '{}', { path: '/' }, 404],
    ['another method', '', { method: 'GET' }, 405],
    ['no JSON', '{', {}, 400],
    ['no review', '{}', {}, 400],
    ['more than 7 MiB', ' '.repeat(7 * 1024 * 1024 + 1), {}, 413],
  ] as const)('%s', async (_name, body, options, status) => {
    expect((await post(body, options)).status).toBe(status);
  });
});

test('an error of ours is 500, which the API server takes for no answer', async () => {
  decide = () => Promise.reject(new Error('a mistake'));
  expect(await post(JSON.stringify(review))).toEqual({ status: 500, body: 'Internal Server Error\n' });
});

test('requests are counted by the status of their answers', async () => {
  await post(JSON.stringify(review));
  await post('{');
  const found = await registry.getSingleMetric('controller_runtime_webhook_requests_total')?.get();
  expect(found?.values.map(({ labels, value }) => [labels['code'], value])).toEqual([
    ['200', 1],
    ['400', 1],
  ]);
});

test.each<[decision: string, kind: string, label: string, response: Omit<AdmissionResponse, 'uid'>]>([
  ['allowed', 'RiskModel', 'RiskModel', { allowed: true }],
  ['warned', 'BatchPrediction', 'BatchPrediction', { allowed: true, warnings: ['there is no such model yet'] }],
  ['refused', 'RiskModel', 'RiskModel', { allowed: false }],
  ['allowed', 'Anything', 'other', { allowed: true }],
])('what is %s, of kind %s, is counted', async (decision, kind, label, response) => {
  decide = async ({ uid }) => ({ uid, ...response });
  await post(JSON.stringify({ ...review, request: { uid: 'u-1', kind: { group: 'riskmodel.io', kind } } }));
  const found = await registry.getSingleMetric('riskmodel_webhook_decisions_total')?.get();
  expect(found?.values).toMatchObject([{ value: 1, labels: { kind: label, decision } }]);
});

test('another certificate is served at once, and connections that are open stay', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  await post(JSON.stringify(review), { agent });
  const next = issue();
  server.use(next);
  expect((await post(JSON.stringify(review), { agent })).status).toBe(200);
  agent.destroy();
  expect((await post(JSON.stringify(review), { ca: next.ca })).status).toBe(200);
  await expect(post(JSON.stringify(review))).rejects.toThrow(/certificate/);
});

test('closing lets a request be answered that has begun', async () => {
  let answer: (() => void) | undefined;
  const begun = new Promise<void>((resolve) => {
    decide = ({ uid }) =>
      new Promise((done) => {
        answer = () => done({ uid, allowed: true });
        resolve();
      });
  });
  const asked = post(JSON.stringify(review), { agent: new Agent({ keepAlive: true }) });
  await begun;
  const closed = server.close();
  answer?.();
  expect((await asked).status).toBe(200);
  await closed;
});
