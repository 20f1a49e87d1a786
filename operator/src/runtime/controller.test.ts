import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import { KubeError } from '../kube/kube-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import { FakeClock, settle } from '../testing/fake-clock.ts';
import { startFaultServer } from '../testing/fault-server.ts';
import { configMap, configMapType } from '../testing/objects.ts';
import { quietLogger } from '../testing/quiet-logger.ts';
import { makeControllerMetrics } from './controller-metrics.ts';
import { Controller, resync, type ControllerOptions, type Reconcile } from './controller.ts';
import { generationChanged } from './predicates.ts';
import { Store } from './store.ts';

const models: ResourceType = { apiVersion: 'x.io/v1', kind: 'Model', plural: 'models', namespaced: true };

let clock: FakeClock;
let stores: Map<string, Store>;
let stop: AbortController;
let abandon: AbortController;
let running: Promise<void>;
let registry: Registry;
let log: Record<string, unknown>[];
let controller: Controller;

beforeEach(() => {
  clock = new FakeClock();
  stores = new Map([
    ['Model', new Store()],
    ['ConfigMap', new Store()],
  ]);
  stop = new AbortController();
  abandon = new AbortController();
  registry = new Registry();
});
afterEach(async () => {
  stop.abort();
  abandon.abort();
  await running;
});

const storeOf = ({ kind }: ResourceType): Store => stores.get(kind) as Store;

function model(name: string, generation = 1): KubeObject {
  const object = configMap(name, { generation, resourceVersion: `${generation}` });
  return { ...object, apiVersion: 'x.io/v1', kind: 'Model' };
}

/** Takes it for granted that there are some. */
function ownersInData(object: KubeObject): string[] {
  return (object['data'] as { owners: string[] }).owners;
}

/** A ConfigMap that a model controls. */
function owned(owner: string): KubeObject {
  const reference = { apiVersion: 'x.io/v1', kind: 'Model', name: owner, uid: owner, controller: true };
  return configMap('c', { ownerReferences: [reference] });
}

async function start(reconcile: Reconcile, options: Partial<ControllerOptions> = {}): Promise<void> {
  const { logger, entries } = quietLogger();
  log = entries;
  const metrics = makeControllerMetrics(registry)('models', 2);
  const all = { name: 'models', for: models, concurrency: 2, backoff: { baseMs: 100, maxMs: 1_000 }, reconcile };
  controller = new Controller({ ...all, ...options }, { clock, logger, metrics });
  running = controller.run(storeOf, stop.signal, abandon.signal);
  await settle();
}

/** A reconcile that writes down its keys, and ends when told to. */
function recorder(): { keys: string[]; reconcile: Reconcile } {
  const keys: string[] = [];
  return { keys, reconcile: async (key) => void keys.push(key) };
}

async function metric(line: string): Promise<void> {
  expect(await registry.metrics()).toContain(line);
}

describe('a key becomes due', () => {
  test('for each object there is when the controller starts', async () => {
    const { keys, reconcile } = recorder();
    storeOf(models).replace([model('a'), model('b')]);
    await start(reconcile);
    expect(keys).toEqual(['default/a', 'default/b']);
  });

  test('when its object comes, changes or goes', async () => {
    const { keys, reconcile } = recorder();
    await start(reconcile);
    for (const change of [
      () => storeOf(models).set(model('a')),
      () => storeOf(models).set(model('a', 2)),
      () => storeOf(models).delete('default/a'),
    ]) {
      change();
      await settle();
    }
    expect(keys).toEqual(['default/a', 'default/a', 'default/a']);
  });

  test('not when the predicate says that a change does not matter', async () => {
    const { keys, reconcile } = recorder();
    storeOf(models).set(model('a'));
    await start(reconcile, { predicate: generationChanged });
    storeOf(models).set({ ...model('a'), status: { ready: true } });
    await settle();
    expect(keys).toEqual(['default/a']);
  });

  test('when what it owns changes or goes, and for both owners when that changes hands', async () => {
    const { keys, reconcile } = recorder();
    await start(reconcile, { owns: [configMapType] });
    storeOf(configMapType).set(owned('a'));
    await settle();
    storeOf(configMapType).set(owned('b'));
    await settle();
    storeOf(configMapType).delete('default/c');
    await settle();
    expect(keys).toEqual(['default/a', 'default/a', 'default/b', 'default/b']);
  });

  test('when something else changes that concerns it', async () => {
    const { keys, reconcile } = recorder();
    await start(reconcile, { watches: [{ type: configMapType, map: () => ['default/a', 'default/b'] }] });
    storeOf(configMapType).set(configMap('settings'));
    await settle();
    expect(keys).toEqual(['default/a', 'default/b']);
  });

  test('not when it cannot be told which, and then others still do', async () => {
    const { keys, reconcile } = recorder();
    await start(reconcile, { watches: [{ type: configMapType, map: ownersInData }] });
    storeOf(configMapType).set({ ...configMap('odd'), data: undefined });
    storeOf(models).set(model('a'));
    await settle();
    expect(keys).toEqual(['default/a']);
    expect(log).toMatchObject([{ severity: 'ERROR', key: 'default/odd' }]);
  });

  test('now and then, though nothing changes', async () => {
    const { keys, reconcile } = recorder();
    storeOf(models).set(model('a'));
    await start(reconcile);
    const resyncing = resync(controller, storeOf(models), 1_000, { clock, random: () => 0 }, stop.signal);
    await clock.advance(2_000);
    expect(keys).toEqual(['default/a', 'default/a', 'default/a']);
    stop.abort();
    await resyncing;
  });
});

describe('a reconcile', () => {
  test('of one key never runs twice at a time, and others wait for a free worker', async () => {
    const ends = new Map<string, () => void>();
    await start((key) => new Promise((resolve) => ends.set(key, resolve)));
    for (const key of ['a', 'a', 'b', 'c']) controller.enqueue(key);
    await settle();
    expect([...ends.keys()]).toEqual(['a', 'b']);
    controller.enqueue('a');
    ends.get('b')?.();
    await settle();
    expect([...ends.keys()]).toEqual(['a', 'b', 'c']);
    ends.get('c')?.();
    ends.get('a')?.();
    await settle();
    ends.get('a')?.();
  });

  test('that says when to look again is repeated then', async () => {
    const { keys, reconcile } = recorder();
    await start(async (key, signal) => {
      await reconcile(key, signal);
      return keys.length === 1 ? { requeueAfterMs: 500 } : {};
    });
    controller.enqueue('a');
    await clock.advance(499);
    expect(keys).toHaveLength(1);
    await clock.advance(60_000);
    expect(keys).toHaveLength(2);
    await metric('controller_runtime_reconcile_total{controller="models",result="requeue_after"} 1');
    await metric('controller_runtime_reconcile_total{controller="models",result="success"} 1');
  });

  test('that fails is repeated with a wait that grows, until it succeeds', async () => {
    const at: number[] = [];
    const startedAt = clock.now();
    await start(async () => {
      at.push(clock.now() - startedAt);
      if (at.length < 4) throw new Error('not yet');
    });
    controller.enqueue('a');
    await clock.advance(60_000);
    expect(at).toEqual([0, 100, 300, 700]);
    await metric('controller_runtime_reconcile_total{controller="models",result="error"} 3');
    await metric('controller_runtime_reconcile_errors_total{controller="models"} 3');
    await metric('controller_runtime_active_workers{controller="models"} 0');
    await metric('controller_runtime_reconcile_time_seconds_count{controller="models"} 4');
  });

  test.each([
    ['a mistake of the program', new TypeError('x is undefined'), 'ERROR', 'panics'],
    ['what no repetition cures', new RiskModelError('Broken', 'broken'), 'ERROR', 'terminal'],
    ['a lost race', new KubeError(409, 'Conflict', 'changed'), 'INFO', undefined],
  ])('that fails by %s is logged with its key', async (_, error, severity, counter) => {
    await start(() => Promise.reject(error));
    controller.enqueue('default/a');
    await settle();
    expect(log).toMatchObject([{ severity, controller: 'models', key: 'default/a', err: { message: error.message } }]);
    if (counter === 'panics') await metric('controller_runtime_reconcile_panics_total{controller="models"} 1');
    if (counter === 'terminal')
      await metric('controller_runtime_terminal_reconcile_errors_total{controller="models"} 1');
  });

  test('that throws before it has begun to wait for anything is a failed one too', async () => {
    await start(() => {
      throw new Error('at once');
    });
    controller.enqueue('a');
    await settle();
    await metric('controller_runtime_reconcile_errors_total{controller="models"} 1');
  });

  test('that takes too long is told to end', async () => {
    await start((_, signal) => waitFor(signal), { timeoutMs: 20 });
    controller.enqueue('a');
    await waitFor(AbortSignal.timeout(200)).catch(() => {});
    await metric('controller_runtime_reconcile_timeouts_total{controller="models"} 1');
  });
});

/** Fails when the signal is aborted. */
function waitFor(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }),
  );
}

describe('a controller that is to stop', () => {
  test('lets what was begun end, and begins nothing', async () => {
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    await start((key) => {
      begun.push(key);
      return new Promise((resolve) => ends.push(resolve));
    });
    controller.enqueue('a');
    await settle();
    stop.abort();
    controller.enqueue('b');
    let hasEnded = false;
    const ended = running.then(() => (hasEnded = true));
    await settle();
    expect(hasEnded).toBe(false);
    for (const end of ends) end();
    await ended;
    expect(begun).toEqual(['a']);
  });

  test('tells what was begun to end when time is up', async () => {
    await start((_, signal) => waitFor(signal));
    controller.enqueue('a');
    await settle();
    stop.abort();
    abandon.abort();
    await running;
  });

  test('gives up a request that nobody answers, though it was not handed the signal', async () => {
    const asked = Promise.withResolvers<void>();
    const server = await startFaultServer(() => asked.resolve());
    const client = server.client({ timeoutMs: 3_600_000 });
    await start(async () => void (await client.get(configMapType, { namespace: 'default', name: 'a' })));
    controller.enqueue('a');
    await asked.promise;
    stop.abort();
    abandon.abort();
    await running;
    expect(log).toContainEqual(
      expect.objectContaining({ key: 'a', err: expect.objectContaining({ code: 'Aborted' }) }),
    );
    await server.close();
  });

  test('hears of no changes any more', async () => {
    const { keys, reconcile } = recorder();
    await start(reconcile);
    stop.abort();
    await running;
    storeOf(models).set(model('a'));
    expect(keys).toEqual([]);
  });
});
