import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ObjectList } from '../kube/client.ts';
import { KubeError } from '../kube/kube-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { WatchEvent } from '../kube/watch-stream.ts';
import { FakeClock, settle } from '../testing/fake-clock.ts';
import { configMap, configMapType } from '../testing/objects.ts';
import { quietLogger } from '../testing/quiet-logger.ts';
import { ScriptClient, type WatchScript } from '../testing/script-client.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { Store, type StoreEvent } from './store.ts';

let clock: FakeClock;
let store: Store;
let stop: AbortController;
let running: Promise<void>;
let client: ScriptClient;
let reflector: Reflector;
let told: string[];

beforeEach(() => {
  clock = new FakeClock();
  store = new Store();
  stop = new AbortController();
  told = [];
  store.subscribe(({ type, object }: StoreEvent) => told.push(`${type} ${object.metadata.name}`));
});
afterEach(async () => {
  stop.abort();
  await running;
  expect(clock.timers).toBe(0);
});

async function start(
  lists: (ObjectList | Error)[],
  watches: WatchScript[],
  options: Partial<ReflectorOptions> = {},
): Promise<void> {
  client = new ScriptClient(lists, watches);
  const { logger } = quietLogger();
  // Chance 0 takes nothing off a wait, so that waits are 800 ms, 1.6 s, 3.2 s, ...
  reflector = new Reflector({ type: configMapType, store, client, clock, random: () => 0, logger, ...options });
  running = reflector.run(stop.signal);
  await settle();
}

function page(resourceVersion: string, items: KubeObject[], more?: string): ObjectList {
  return { items, resourceVersion, ...(more === undefined ? {} : { continue: more }) };
}

function event(type: WatchEvent['type'], name: string, resourceVersion: string): WatchEvent {
  return { type, object: configMap(name, { resourceVersion }) };
}

const expired = new KubeError(410, 'Expired', 'too old');
const lost = new KubeError(0, 'Unreachable', 'other side closed');
const versions = (): string[] => client.watches.map(({ resourceVersion }) => resourceVersion);

describe('the first list', () => {
  test('is read page by page, and makes the cache synced when it is whole', async () => {
    await start([page('5', [configMap('a')], 'next'), page('5', [configMap('b')])], []);
    expect(client.lists).toMatchObject([{ limit: 500 }, { limit: 500, continue: 'next' }]);
    expect(told).toEqual(['added a', 'added b']);
    expect(reflector.hasSynced).toBe(true);
    expect(client.watches).toMatchObject([{ resourceVersion: '5', allowWatchBookmarks: true, timeoutSeconds: 300 }]);
  });

  test('that fails is repeated, with a wait that grows', async () => {
    await start([lost, lost, page('5', [configMap('a')])], []);
    await clock.advance(799);
    expect([client.lists.length, reflector.hasSynced]).toEqual([1, false]);
    await clock.advance(1);
    expect(client.lists).toHaveLength(2);
    await clock.advance(1_600);
    expect([client.lists.length, reflector.hasSynced]).toEqual([3, true]);
  });

  test('whose pages expire while they are read is read in one piece', async () => {
    await start([page('5', [configMap('a')], 'next'), expired, page('6', [configMap('a'), configMap('b')])], []);
    expect(client.lists.at(-1)).toMatchObject({ limit: 0 });
    expect(store.size).toBe(2);
  });

  test('waits for as long as a server that sheds load asks', async () => {
    await start([new KubeError(429, undefined, 'busy', { retryAfterMs: 20_000 }), page('5', [])], []);
    await clock.advance(19_999);
    expect(client.lists).toHaveLength(1);
    await clock.advance(1);
    expect(client.lists).toHaveLength(2);
  });

  test('selects what it was told to', async () => {
    const selection = { namespace: 'risk', labelSelector: 'a=b', fieldSelector: 'c=d' };
    await start([page('5', [])], [], selection);
    expect(client.lists).toMatchObject([selection]);
    expect(client.watches).toMatchObject([selection]);
  });
});

describe('a watch', () => {
  test('changes the cache', async () => {
    await start(
      [page('5', [configMap('a')])],
      [{ events: [event('ADDED', 'b', '6'), event('MODIFIED', 'a', '7'), event('DELETED', 'b', '8')] }],
    );
    expect(told).toEqual(['added a', 'added b', 'updated a', 'deleted b']);
  });

  test('that ends, as the server ends each one, resumes where it was, without a wait or a list', async () => {
    await start([page('5', [])], [{ events: [event('ADDED', 'a', '6'), event('BOOKMARK', '', '9')], end: true }]);
    expect(versions()).toEqual(['5', '9']);
    expect(client.lists).toHaveLength(1);
  });

  test('that is cut resumes from the last event that came whole', async () => {
    await start([page('5', [])], [{ events: [event('ADDED', 'a', '6')], error: lost }]);
    expect(versions()).toEqual(['5']);
    await clock.advance(800);
    expect(versions()).toEqual(['5', '6']);
    expect(client.lists).toHaveLength(1);
  });

  test('that is cut again and again waits longer each time, until it hears something', async () => {
    const heard = { events: [event('ADDED', 'a', '6')], error: lost };
    await start([page('5', [])], [{ error: lost }, { error: lost }, heard]);
    await clock.advance(800);
    expect(versions()).toHaveLength(2);
    await clock.advance(1_600);
    expect(versions()).toHaveLength(3);
    await clock.advance(800);
    expect(versions()).toHaveLength(4);
  });

  test.each([
    ['half a minute', new KubeError(403, 'Forbidden', 'no role'), 30_000],
    ['five seconds when the server is away, since its return should be noticed', lost, 5_000],
  ])('never waits for longer than %s', async (_, error, longestMs) => {
    await start(
      [page('5', [])],
      Array.from({ length: 999 }, () => ({ error })),
    );
    await clock.advance(600_000);
    const before = versions().length;
    await clock.advance(longestMs * 3);
    expect(versions().length).toBe(before + 3);
  });

  test('from a point that the server has forgotten lists anew at once, and tells what was missed', async () => {
    await start(
      [
        page('5', [configMap('a'), configMap('b')]),
        page('9', [configMap('b', { resourceVersion: '8' }), configMap('c')]),
      ],
      [{ error: expired }],
    );
    expect(told).toEqual(['added a', 'added b', 'deleted a', 'updated b', 'added c']);
    expect(versions()).toEqual(['5', '9']);
  });

  test('that is found to be too old when the server is back lists anew at once, however long that was away', async () => {
    await start(
      [page('5', []), page('9', [])],
      [{ error: lost }, { error: lost }, { error: lost }, { error: expired }],
    );
    await clock.advance(800 + 1_600 + 3_200);
    expect(versions()).toEqual(['5', '5', '5', '5', '9']);
  });

  test('that lasted is no failure to be remembered when it is cut', async () => {
    await start([page('5', [])], [{ error: lost }, { error: lost }, {}], { silenceMs: 20_000 });
    await clock.advance(800 + 1_600 + 20_000);
    await clock.advance(800);
    expect(versions()).toHaveLength(4);
  });

  test('that expires again and again does not list in a busy loop', async () => {
    await start([page('5', []), page('5', []), page('5', [])], [{ error: expired }, { error: expired }]);
    expect(client.lists).toHaveLength(2);
    await clock.advance(1_600);
    expect(client.lists).toHaveLength(3);
  });

  test('that ends at once with nothing said is not repeated in a busy loop', async () => {
    await start([page('5', [])], [{ end: true }, { end: true }]);
    expect(versions()).toHaveLength(1);
    await clock.advance(800);
    expect(versions()).toHaveLength(2);
  });

  test('that has been silent for too long is taken for dead', async () => {
    await start([page('5', [])], [{ events: [event('BOOKMARK', '', '6')] }], { silenceMs: 10_000 });
    await clock.advance(9_999);
    expect(client.watches[0]?.signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(client.watches[0]?.signal?.aborted).toBe(true);
    await clock.advance(800);
    expect(versions()).toEqual(['5', '6']);
  });
});

test('cached objects are frozen and have no managedFields, from lists and watches alike', async () => {
  const managedFields = [{ manager: 'x' }];
  await start(
    [page('5', [configMap('a', { managedFields })])],
    [{ events: [{ type: 'ADDED', object: configMap('b', { managedFields }) }] }],
  );
  for (const object of store.list()) {
    expect(object.metadata).not.toHaveProperty('managedFields');
    expect(Object.isFrozen(object['data'])).toBe(true);
  }
});

test('failures are reported to whoever asked', async () => {
  const errors: string[] = [];
  await start([lost, page('5', [])], [], { onFailure: (error) => errors.push(error.message) });
  expect(errors).toEqual(['other side closed']);
});
