import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { KubeClient } from '../../operator/src/kube/client.ts';
import { isAlreadyExists } from '../../operator/src/kube/kube-error.ts';
import { keyOf, type KubeObject } from '../../operator/src/kube/object.ts';
import { systemClock } from '../../operator/src/runtime/clock.ts';
import { Reflector } from '../../operator/src/runtime/reflector.ts';
import { Store, type StoreEvent } from '../../operator/src/runtime/store.ts';
import { quietLogger } from '../../operator/src/testing/quiet-logger.ts';
import type { ControlPlane } from '../harness/cluster/control-plane.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { startCuttingProxy, type CuttingProxy } from './cutting-proxy.ts';
import { buildTimeoutMs, clientOf, configMapType, inParallel, makeConfigMap, startPlane } from './plane.ts';

jest.setTimeout(180_000);

let plane: ControlPlane;
let admin: KubeClient;
/** The reflector's client goes through a proxy, so that its connections can be cut and nobody else's. */
let proxy: CuttingProxy;
let watcher: KubeClient;
let namespace: string;
let tests = 0;

let store: Store;
let reflector: Reflector;
let lists: number;
let failures: Map<string, number>;
/** The cache as somebody would know it who only heard of the changes. */
let heard: Map<string, string>;
let stop: AbortController;
let running: Promise<void>;

beforeAll(async () => {
  // Without its own cache the API server reads watches from etcd, so compacting that makes the past unknown (410).
  plane = await startPlane({ apiServerArgs: ['--watch-cache=false'] });
  admin = await clientOf(plane);
}, buildTimeoutMs);
afterAll(async () => {
  await admin?.close();
  await plane?.stop();
});

beforeEach(async () => {
  namespace = `reflector-${++tests}`;
  await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  proxy = await startCuttingProxy(new URL(plane.url));
  watcher = await clientOf(plane, { port: proxy.port });
  store = new Store();
  lists = 0;
  failures = new Map();
  heard = new Map();
  store.subscribe(hear);
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await running;
  await watcher.close();
  await proxy.close();
});

function hear({ type, object }: StoreEvent): void {
  const key = keyOf(object.metadata);
  if (type === 'added' && heard.has(key)) throw new Error(`${key} was added twice`);
  if (type !== 'added' && !heard.has(key)) throw new Error(`${key} was ${type} before it was added`);
  if (type === 'deleted') heard.delete(key);
  else heard.set(key, object.metadata.resourceVersion as string);
}

async function startReflector(): Promise<void> {
  reflector = new Reflector({
    type: configMapType,
    store,
    client: watcher,
    namespace,
    clock: systemClock,
    random: Math.random,
    logger: quietLogger().logger,
    backoff: { baseMs: 50, maxMs: 500, jitter: 0.5 },
    metrics: {
      listed: () => lists++,
      watched: () => {},
      failed: (reason) => failures.set(reason, (failures.get(reason) ?? 0) + 1),
    },
  });
  running = reflector.run(stop.signal);
  await eventually(() => Promise.resolve(expect(reflector.hasSynced).toBe(true)));
}

function versionsOf(objects: KubeObject[]): Map<string, string> {
  const entries = objects.map(({ metadata }): [string, string] => [
    keyOf(metadata),
    metadata.resourceVersion as string,
  ]);
  return new Map(entries.toSorted(([a], [b]) => a.localeCompare(b)));
}

async function expectCacheToBeTrue(): Promise<void> {
  const { items } = await admin.list(configMapType, { namespace });
  expect(versionsOf(store.list())).toEqual(versionsOf(items));
  expect(new Map([...heard].toSorted(([a], [b]) => a.localeCompare(b)))).toEqual(versionsOf(items));
}

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `map-${index}`);

/** Creates, updates and deletes, so that a third of them remains. */
async function churn(count: number): Promise<void> {
  await inParallel(names(count), 16, async (name) => {
    await admin.create(makeConfigMap(name, { round: '1' }, namespace)).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
    });
    await admin.patch(configMapType, { namespace, name }, { data: { round: '2' } }, { type: 'merge' });
    if (Number(name.slice(4)) % 3 !== 0) await admin.delete(configMapType, { namespace, name });
  });
}

describe('the cache is what the cluster holds', () => {
  test('after 2,000 objects came, changed and mostly went while the connection was cut every second', async () => {
    await startReflector();
    proxy.cutEvery(1_000);
    const startedAt = performance.now();
    await churn(2_000);
    const churned = performance.now();
    await eventually(expectCacheToBeTrue, 60_000);
    const caughtUp = performance.now();
    expect(store.size).toBe(667);
    expect(lists).toBe(1);
    expect(proxy.cuts).toBeGreaterThanOrEqual(3);
    printFigure(
      `5,333 changes in ${((churned - startedAt) / 1_000).toFixed(1)} s with ${proxy.cuts} cuts: no event lost, ` +
        `1 list, caught up ${Math.round(caughtUp - churned)} ms after the last change`,
    );
  });

  test('after changes that it missed and that etcd has forgotten since', async () => {
    await admin.create(makeConfigMap('stays', {}, namespace));
    await admin.create(makeConfigMap('goes', {}, namespace));
    await startReflector();
    await eventually(expectCacheToBeTrue);
    // The proxy's port refuses connections while the world goes on.
    await proxy.close();
    await admin.patch(configMapType, { namespace, name: 'stays' }, { data: { a: 'b' } }, { type: 'merge' });
    await admin.delete(configMapType, { namespace, name: 'goes' });
    await admin.create(makeConfigMap('comes', {}, namespace));
    await plane.compactEtcd();
    await eventually(async () => expect([...failures.keys()]).toContain('Unreachable'));
    proxy = await startCuttingProxy(new URL(plane.url), proxy.port);
    await eventually(expectCacheToBeTrue, 60_000);
    expect(lists).toBe(2);
    expect([...failures.keys()]).toContain('Expired');
  });

  test('after 600 changes each with a compaction now and then and the connection cut', async () => {
    await startReflector();
    proxy.cutEvery(300);
    const done = new AbortController();
    const churning = churn(600).finally(() => done.abort());
    let compactions = 0;
    while (!done.signal.aborted) {
      await plane.compactEtcd().catch(() => {});
      compactions++;
      await sleep(100);
    }
    await churning;
    let expired = 0;
    await eventually(async () => {
      await expectCacheToBeTrue();
      // A list may be cut too, and is repeated then.
      expired = failures.get('Expired') ?? 0;
      expect(lists - 1).toBeGreaterThanOrEqual(expired);
    }, 60_000);
    expect(expired).toBeGreaterThan(0);
    printFigure(
      `1,600 changes with ${proxy.cuts} cuts and ${compactions} compactions: 410 ${expired} times, no event lost`,
    );
  });

  test('after more objects than fit into a page', async () => {
    await inParallel(names(1_100), 16, (name) => admin.create(makeConfigMap(name, {}, namespace)));
    await startReflector();
    await expectCacheToBeTrue();
    expect(store.size).toBe(1_100);
  });

  test('after the API server was away for five seconds', async () => {
    await startReflector();
    await admin.create(makeConfigMap('before', {}, namespace));
    await plane.restartApiServer({ downMs: 5_000 });
    await eventually(() => admin.create(makeConfigMap('after', {}, namespace)).then(() => {}), 60_000);
    const backAt = performance.now();
    await eventually(expectCacheToBeTrue, 60_000);
    expect(lists).toBe(1);
    printFigure(`cache true again ${Math.round(performance.now() - backAt)} ms after the API server was back`);
  });
});
