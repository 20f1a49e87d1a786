import { expect, test } from '@jest/globals';
import { KubeError } from '../kube/kube-error.ts';
import { SecretCertificate } from './secret-certificate.ts';
import { WebhookApi } from './testing/webhook-api.ts';

const day = 24 * 3_600_000;
const start = Date.UTC(2026, 0, 1);

function sourceOf(client: Pick<WebhookApi, 'get' | 'update'>): SecretCertificate {
  return new SecretCertificate({
    client,
    secret: { namespace: 'risk-system', name: 'certificate' },
    host: 'webhook.risk-system.svc',
    times: { lifeMs: 90 * day, settleMs: day },
  });
}

function conflict(): Promise<never> {
  return Promise.reject(new KubeError(409, 'Conflict', 'too late'));
}

test('an empty Secret is filled once, and then only read', async () => {
  const api = new WebhookApi();
  const first = await sourceOf(api).read(start);
  expect(await sourceOf(api).read(start + 59 * day)).toEqual(first);
  expect(api.writes).toEqual(['Secret']);
});

test('replicas that come at the same moment agree on the one that was written first', async () => {
  const api = new WebhookApi();
  const sets = await Promise.all([1, 2, 3].map(async () => sourceOf(api).read(start)));
  expect(new Set(sets.map(({ bundle }) => bundle)).size).toBe(1);
  expect(api.writes).toEqual(['Secret']);
  const renewed = await Promise.all([1, 2, 3].map(async () => sourceOf(api).read(start + 60 * day)));
  expect(new Set(renewed.map(({ bundle }) => bundle)).size).toBe(1);
  expect(renewed[0]?.previous).toEqual(sets[0]?.newest);
  expect(api.writes).toEqual(['Secret', 'Secret']);
});

test('labels and whatever else stands in the Secret stay', async () => {
  const api = new WebhookApi();
  Object.assign(api.secret?.metadata ?? {}, { labels: { 'app.kubernetes.io/instance': 'rm' } });
  await sourceOf(api).read(start);
  expect(api.secret?.metadata.labels).toEqual({ 'app.kubernetes.io/instance': 'rm' });
});

test('a Secret that is not there is told of', async () => {
  const api = new WebhookApi();
  api.secret = undefined;
  await expect(sourceOf(api).read(start)).rejects.toThrow(
    "there is no Secret risk-system/certificate to keep the webhook's certificate in: the chart makes it",
  );
});

test('a conflict without end, and any other error, is passed on', async () => {
  const api = new WebhookApi();
  let asked = 0;
  const get = async (...args: Parameters<WebhookApi['get']>): ReturnType<WebhookApi['get']> => {
    asked++;
    return api.get(...args);
  };
  await expect(sourceOf({ get, update: conflict }).read(start)).rejects.toThrow('too late');
  expect(asked).toBe(4);
  api.failure = new KubeError(403, 'Forbidden', 'no');
  await expect(sourceOf(api).read(start)).rejects.toThrow('no');
});
