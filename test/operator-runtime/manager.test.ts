import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Registry, type Counter } from 'prom-client';
import type { KubeClient } from '../../operator/src/kube/client.ts';
import { controllerReference, keyOf, refOf, type KubeObject } from '../../operator/src/kube/object.ts';
import { makeRequestMetrics } from '../../operator/src/kube/request-metrics.ts';
import type { ResourceType } from '../../operator/src/kube/resource-type.ts';
import { Manager, type ManagerOptions } from '../../operator/src/runtime/manager.ts';
import type { ReadonlyStore } from '../../operator/src/runtime/store.ts';
import { quietLogger } from '../../operator/src/testing/quiet-logger.ts';
import type { ControlPlane } from '../harness/cluster/control-plane.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { buildTimeoutMs, clientOf, configMapType, inParallel, makeConfigMap, startPlane } from './plane.ts';

jest.setTimeout(180_000);

const secretType: ResourceType = { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true };
const widgetType: ResourceType = { apiVersion: 'test.io/v1', kind: 'Widget', plural: 'widgets', namespaced: true };
const crdType: ResourceType = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

const widgetCrd: KubeObject = {
  apiVersion: crdType.apiVersion,
  kind: crdType.kind,
  metadata: { name: 'widgets.test.io' },
  spec: {
    group: 'test.io',
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

let plane: ControlPlane;
let admin: KubeClient;
let namespace: string;
let tests = 0;

let client: KubeClient;
let registry: Registry;
let manager: Manager;
let stop: AbortController;
let running: Promise<void>;
/** What was reconciled, in order. */
let reconciled: string[];
let log: Record<string, unknown>[];

beforeAll(async () => {
  plane = await startPlane();
  admin = await clientOf(plane);
}, buildTimeoutMs);
afterAll(async () => {
  await admin?.close();
  await plane?.stop();
});

beforeEach(async () => {
  namespace = `manager-${++tests}`;
  await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  registry = new Registry();
  client = await clientOf(plane, { metrics: makeRequestMetrics(registry) });
  stop = new AbortController();
  reconciled = [];
});
afterEach(async () => {
  stop.abort();
  await running;
  await client.close();
});

/**
 * A manager whose controller gives each ConfigMap that is labelled `copy` a Secret with the same data.
 * @param watched whether it is to be told of Widgets too, if there are any.
 */
async function start({ watched, ...options }: Partial<ManagerOptions> & { watched?: boolean } = {}): Promise<void> {
  const { logger, entries } = quietLogger();
  log = entries;
  const health = { port: 0, host: '127.0.0.1' };
  manager = new Manager({ client, logger, registry, namespace, health, discoveryMs: 2_500, ...options });
  const configMaps = manager.watch(configMapType, { labelSelector: 'copy' });
  const secrets = manager.watch(secretType);
  if (watched) manager.watch(widgetType, { optional: true });
  manager.addController({
    name: 'copies',
    for: configMapType,
    owns: [secretType],
    watches: watched ? [{ type: widgetType, map: () => configMaps.list().map(({ metadata }) => keyOf(metadata)) }] : [],
    concurrency: 8,
    reconcile: (key) => reconcile(key, configMaps, secrets),
  });
  running = manager.run(stop.signal);
  running.catch(() => {});
}

async function reconcile(key: string, configMaps: ReadonlyStore, secrets: ReadonlyStore): Promise<void> {
  reconciled.push(key);
  const source = configMaps.get(key);
  if (source === undefined) return;
  const { data = {} } = source as { data?: Record<string, string> };
  const current = secrets.get(key) as { data?: Record<string, string> } | undefined;
  if (current?.data?.['text'] === Buffer.from(data['text'] ?? '').toString('base64')) return;
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...refOf(key), ownerReferences: [controllerReference(source)] },
    stringData: { text: data['text'] },
  } as KubeObject;
  await client.apply(secret, { fieldManager: 'copies', force: true });
}

function source(name: string, text: string): KubeObject {
  const object = makeConfigMap(name, { text }, namespace);
  return { ...object, metadata: { ...object.metadata, labels: { copy: 'yes' } } };
}

async function copiesAre(expected: Record<string, string>): Promise<void> {
  const { items } = await admin.list(secretType, { namespace });
  const texts = items.map((item) => [
    item.metadata.name,
    Buffer.from((item['data'] as Record<string, string>)['text'] ?? '', 'base64').toString('utf8'),
  ]);
  expect(Object.fromEntries(texts)).toEqual(expected);
}

async function probe(path: string): Promise<[number, string]> {
  const response = await fetch(`http://127.0.0.1:${manager.healthPort}${path}`);
  return [response.status, await response.text()];
}

async function isReady(): Promise<void> {
  expect(await probe('/readyz')).toEqual([200, expect.any(String)]);
}

/** How many requests the manager's client has made, in all or by one method. */
async function requestCount(method?: string): Promise<number> {
  const counter = registry.getSingleMetric('rest_client_requests_total') as Counter;
  const counted = (await counter.get()).values.filter(
    ({ labels }) => method === undefined || labels['method'] === method,
  );
  return counted.reduce((sum, { value }) => sum + value, 0);
}

describe('a manager', () => {
  test('makes what is desired, and puts right what is not', async () => {
    await admin.create(source('a', 'one'));
    await start();
    await eventually(() => copiesAre({ a: 'one' }));

    await admin.apply(source('a', 'two'), { fieldManager: 'test', force: true });
    await eventually(() => copiesAre({ a: 'two' }));

    const deletedAt = performance.now();
    await admin.delete(secretType, { namespace, name: 'a' });
    await eventually(() => copiesAre({ a: 'two' }));
    printFigure(`a deleted object was there again after ${Math.round(performance.now() - deletedAt)} ms`);

    await admin.patch(secretType, { namespace, name: 'a' }, { data: { text: 'AAAA' } }, { type: 'merge' });
    await eventually(() => copiesAre({ a: 'two' }));
  });

  test('reads nothing from the API when nothing changes, a resync included', async () => {
    await inParallel(['a', 'b', 'c'], 3, (name) => admin.create(source(name, name)));
    await start({ resyncMs: 500, discoveryMs: 3_600_000 });
    await eventually(() => copiesAre({ a: 'a', b: 'b', c: 'c' }));
    // One that is not in the cache yet is written again.
    await eventually(async () => expect(manager.store(secretType).size).toBe(3));
    await sleep(1_000);
    const [requests, reconciles] = [await requestCount(), reconciled.length];
    await sleep(3_000);
    await eventually(async () => expect(reconciled.length - reconciles).toBeGreaterThanOrEqual(9));
    expect((await requestCount()) - requests).toBe(0);
  });

  test('tells the probes and Prometheus how it is', async () => {
    await admin.create(source('a', 'one'));
    await start();
    await eventually(isReady);
    expect(await probe('/livez')).toEqual([200, 'ok\n']);
    await eventually(() => copiesAre({ a: 'one' }));
    // What was written is counted when its answer has come.
    await eventually(async () => {
      const [, metrics] = await probe('/metrics');
      for (const line of [
        /controller_runtime_reconcile_total\{controller="copies",result="success"\} [1-9]/,
        /controller_runtime_max_concurrent_reconciles\{controller="copies"\} 8/,
        /workqueue_adds_total\{name="copies",controller="copies"\} [1-9]/,
        /reflector_lists_total\{name="Secret.v1"\} 1/,
        /rest_client_requests_total\{code="20[01]",method="PATCH",host="127.0.0.1:\d+"\} 1/,
      ]) {
        expect(metrics).toMatch(line);
      }
    });
  });

  test('converges after the API server was away, with no restart', async () => {
    await admin.create(source('a', 'one'));
    await start();
    await eventually(() => copiesAre({ a: 'one' }));
    await plane.restartApiServer({ downMs: 8_000, kill: true });
    await eventually(
      () => admin.apply(source('a', 'two'), { fieldManager: 'test', force: true }).then(() => {}),
      60_000,
    );
    const backAt = performance.now();
    await eventually(() => copiesAre({ a: 'two' }), 60_000);
    printFigure(`converged ${((performance.now() - backAt) / 1_000).toFixed(1)} s after the API server was back`);
  });

  test('works only while it leads', async () => {
    await admin.create(source('a', 'one'));
    const lease = { namespace, name: 'copies' };
    // Long enough for what is looked at while another leads.
    const held = { holderIdentity: 'another', leaseDurationSeconds: 10 };
    await admin.create({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: lease, spec: held });
    const times = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 200 };
    await start({ leaderElection: { lease, identity: 'me', ...times } });
    await eventually(isReady);
    await sleep(1_000);
    expect(reconciled).toEqual([]);
    expect((await probe('/metrics'))[1]).toContain('leader_election_master_status{name="copies"} 0');
    await eventually(() => copiesAre({ a: 'one' }));
    expect((await probe('/metrics'))[1]).toContain('leader_election_master_status{name="copies"} 1');
    await plane.kubectl.run([
      '-n',
      namespace,
      'patch',
      'lease',
      'copies',
      '--type=merge',
      '-p',
      '{"spec":{"holderIdentity":"another"}}',
    ]);
    await expect(running).rejects.toThrow('another replica may lead now');
    running = Promise.resolve();
  });

  test('steps down while the API server is away, and works again afterwards, with no restart', async () => {
    await admin.create(source('a', 'one'));
    const times = { leaseDurationMs: 6_000, renewDeadlineMs: 3_000, retryPeriodMs: 500 };
    await start({ leaderElection: { lease: { namespace, name: 'copies' }, identity: 'me', ...times } });
    await eventually(() => copiesAre({ a: 'one' }));
    const restarted = plane.restartApiServer({ downMs: 8_000, kill: true });
    await eventually(async () => {
      expect((await probe('/metrics'))[1]).toContain('leader_election_master_status{name="copies"} 0');
    });
    expect((await probe('/livez'))[0]).toBe(200);
    await restarted;
    await eventually(
      () => admin.apply(source('a', 'two'), { fieldManager: 'test', force: true }).then(() => {}),
      60_000,
    );
    const backAt = performance.now();
    await eventually(() => copiesAre({ a: 'two' }), 60_000);
    printFigure(`led again and converged ${((performance.now() - backAt) / 1_000).toFixed(1)} s after that`);
    expect((await probe('/metrics'))[1]).toContain('leader_election_master_status{name="copies"} 1');
  });

  test('makes a thousand at once', async () => {
    await start();
    await eventually(isReady);
    const startedAt = performance.now();
    const names = Array.from({ length: 1_000 }, (_, index) => `source-${index}`);
    await inParallel(names, 16, (name) => admin.create(source(name, name)));
    const createdAt = performance.now();
    await eventually(async () => expect(manager.store(secretType).size).toBe(1_000), 120_000);
    const doneAt = performance.now();
    const writes = (await requestCount('PATCH')) / 1_000;
    expect(writes).toBeLessThan(1.2);
    printFigure(
      `1,000 objects: created in ${((createdAt - startedAt) / 1_000).toFixed(1)} s, all reconciled ` +
        `${((doneAt - createdAt) / 1_000).toFixed(1)} s later, ${writes} writes and ${reconciled.length / 1_000} reconciles each`,
    );
  });

  test('stops in order: nothing is begun any more, and no connection is left', async () => {
    await admin.create(source('a', 'one'));
    await start();
    await eventually(() => copiesAre({ a: 'one' }));
    stop.abort();
    await running;
    const count = reconciled.length;
    await admin.apply(source('a', 'two'), { fieldManager: 'test', force: true });
    await sleep(300);
    expect(reconciled).toHaveLength(count);
    await expect(probe('/livez')).rejects.toThrow();
  });
});

describe('an API that the cluster may not have', () => {
  afterEach(() => admin.delete(crdType, { name: 'widgets.test.io' }));

  test('is picked up when it appears and let go when it disappears', async () => {
    await admin.create(source('a', 'one'));
    await start({ watched: true });
    await eventually(isReady);
    await eventually(() => copiesAre({ a: 'one' }));
    expect(manager.isServed(widgetType)).toBe(false);

    const before = reconciled.length;
    const createdAt = performance.now();
    await admin.create(widgetCrd);
    await eventually(async () => expect(manager.isServed(widgetType)).toBe(true));
    printFigure(`a new API was picked up after ${((performance.now() - createdAt) / 1_000).toFixed(1)} s`);
    await eventually(async () => expect(reconciled.length).toBeGreaterThan(before));

    await eventually(async () => {
      await admin.create({ apiVersion: 'test.io/v1', kind: 'Widget', metadata: { name: 'w', namespace } });
    });
    await eventually(async () => expect(manager.store(widgetType).size).toBe(1));

    const withWidget = reconciled.length;
    await admin.delete(crdType, { name: 'widgets.test.io' });
    await eventually(async () => expect(manager.isServed(widgetType)).toBe(false), 60_000);
    expect(manager.store(widgetType).size).toBe(0);
    await eventually(async () => expect(reconciled.length).toBeGreaterThan(withWidget));
    await isReady();
    expect(log.filter(({ severity }) => severity === 'ERROR')).toEqual([]);
  });

  test('keeps the manager from being ready when it must be there', async () => {
    const { logger } = quietLogger();
    const health = { port: 0, host: '127.0.0.1' };
    manager = new Manager({ client, logger, health });
    manager.watch(widgetType);
    running = manager.run(stop.signal);
    await eventually(async () => {
      expect(await probe('/readyz')).toEqual([503, expect.stringContaining('waiting for Widget.test.io/v1')]);
    });
    await admin.create(widgetCrd);
    await eventually(isReady, 60_000);
  });
});
