import { connect } from 'node:tls';
import { once } from 'node:events';
import { X509Certificate } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { KubeClient } from '../kube/client.ts';
import { KubeError } from '../kube/kube-error.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { quietLogger } from '../testing/quiet-logger.ts';
import { AdmissionWebhook } from './admission-webhook.ts';
import { WebhookApi } from './testing/webhook-api.ts';

const host = 'webhook.risk-system.svc';
const minute = 60_000;
const hour = 60 * minute;
const times = { lifeMs: 9 * hour, settleMs: 10 * minute };

let running: { stop: AbortController; clock: FakeClock; ended: Promise<void> } | undefined;

afterEach(async () => {
  running?.stop.abort();
  await running?.clock.advance(minute);
  await running?.ended;
  running = undefined;
});

interface Started {
  webhook: AdmissionWebhook;
  clock: FakeClock;
  registry: Registry;
  entries: Record<string, unknown>[];
}

async function start(api: WebhookApi): Promise<Started> {
  const clock = new FakeClock();
  const registry = new Registry();
  const { logger, entries } = quietLogger();
  const webhook = new AdmissionWebhook(
    {
      port: 0,
      certificate: { host, secret: { namespace: 'risk-system', name: 'certificate' }, configuration: 'webhook' },
    },
    { client: api as unknown as KubeClient, registry, logger, clock, times, pollMs: minute },
  );
  const stop = new AbortController();
  running = { stop, clock, ended: webhook.run(stop.signal) };
  await pass(clock, 0);
  return { webhook, clock, registry, entries };
}

/** Lets time pass, and what needs real input and output come to its end. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  await clock.advance(ms);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await clock.advance(0);
}

/** The certificate that is served, once it is one that the configuration's bundle vouches for. */
async function served(webhook: AdmissionWebhook, api: WebhookApi): Promise<X509Certificate> {
  const [ca] = api.bundles;
  if (ca === undefined || webhook.port === undefined) throw new Error('nobody was told whom to trust');
  // Time is the test's own here, so OpenSSL, which has another, is not asked about it.
  const socket = connect({ host: '127.0.0.1', port: webhook.port, servername: host, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerX509Certificate() as X509Certificate;
  socket.destroy();
  const authorities = ca.split(/(?<=-----END CERTIFICATE-----\n)/).filter((text) => text !== '');
  expect(authorities.filter((text) => certificate.verify(new X509Certificate(text).publicKey))).toHaveLength(1);
  return certificate;
}

test('a replica makes a certificate, tells whom to trust, and serves', async () => {
  const api = new WebhookApi();
  const { webhook, registry, clock } = await start(api);
  const certificate = await served(webhook, api);
  expect(certificate.checkHost(host)).toBe(host);
  expect(api.writes).toEqual(['Secret', 'ValidatingWebhookConfiguration']);
  const metrics = await registry.getMetricsAsJSON();
  expect(metrics.find(({ name }) => name.includes('expiry'))?.values[0]?.value).toBe((clock.now() + 9 * hour) / 1000);
});

test('quiet times need no writes', async () => {
  const api = new WebhookApi();
  const { clock } = await start(api);
  for (let poll = 0; poll < 10; poll++) await pass(clock, minute);
  expect(api.writes).toHaveLength(2);
});

test('a bundle that somebody removes is back at the next look', async () => {
  const api = new WebhookApi();
  const { clock } = await start(api);
  const before = api.bundles;
  api.dropBundle();
  await pass(clock, minute);
  expect(api.bundles).toEqual(before);
});

test('after two thirds of its life a certificate is renewed: trusted first, served ten minutes later', async () => {
  const api = new WebhookApi();
  const { webhook, clock } = await start(api);
  const first = await served(webhook, api);
  const [bundle = ''] = api.bundles;
  await pass(clock, 6 * hour);
  expect(api.bundles[0]?.startsWith(bundle)).toBe(true);
  expect(api.bundles[0]?.length).toBeGreaterThan(bundle.length);
  expect((await served(webhook, api)).fingerprint).toBe(first.fingerprint);
  await pass(clock, 11 * minute);
  const second = await served(webhook, api);
  expect(second.fingerprint).not.toBe(first.fingerprint);
  await pass(clock, 3 * hour);
  expect((await served(webhook, api)).fingerprint).toBe(second.fingerprint);
  expect(api.writes.filter((kind) => kind === 'Secret')).toHaveLength(2);
});

test('a configuration that can not be written keeps nobody from serving, and is told of once', async () => {
  const api = new WebhookApi();
  const { configuration } = api;
  api.configuration = undefined;
  const { webhook, clock, entries } = await start(api);
  expect(webhook.port).toBeDefined();
  await pass(clock, minute);
  await pass(clock, minute);
  expect(entries.filter(({ severity }) => severity === 'WARNING')).toHaveLength(1);
  api.configuration = configuration;
  await pass(clock, minute);
  await served(webhook, api);
});

test('an API server that is away is asked again', async () => {
  const api = new WebhookApi();
  api.failure = new KubeError(0, undefined, 'away');
  const { webhook, clock } = await start(api);
  expect(webhook.port).toBeUndefined();
  expect(webhook.check()).toBe('waiting for a certificate: away');
  api.failure = undefined;
  await pass(clock, 2_000);
  await served(webhook, api);
  expect(webhook.check()).toBeUndefined();
});

test('one that is to end answers a little longer', async () => {
  const api = new WebhookApi();
  const { webhook, clock } = await start(api);
  running?.stop.abort();
  await pass(clock, 2_000);
  await served(webhook, api);
  await pass(clock, 2_000);
  await running?.ended;
  await expect(served(webhook, api)).rejects.toThrow('ECONNREFUSED');
});
