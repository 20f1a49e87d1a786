import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { KubeObject } from '../kube/object.ts';
import { configMap } from '../testing/objects.ts';
import { Store, type StoreEvent } from './store.ts';

let store: Store;
let events: StoreEvent[];
beforeEach(() => {
  store = new Store();
  events = [];
  store.subscribe((event) => events.push(event));
});

const a1 = configMap('a', { resourceVersion: '1' });
const a2 = configMap('a', { resourceVersion: '2' });
const b = configMap('b');

describe('who subscribes', () => {
  test.each<[string, (store: Store) => void, StoreEvent[]]>([
    ['a new object', (store) => store.set(a1), [{ type: 'added', object: a1 }]],
    [
      'a change, with what was before',
      (store) => [a1, a2].forEach((object) => store.set(object)),
      [
        { type: 'added', object: a1 },
        { type: 'updated', object: a2, old: a1 },
      ],
    ],
    [
      'what went, as it was last',
      (store) => {
        store.set(a1);
        store.delete('default/a', a2);
      },
      [
        { type: 'added', object: a1 },
        { type: 'deleted', object: a2 },
      ],
    ],
    ['nothing, when what goes was not there', (store) => store.delete('default/a'), []],
    [
      'an object that was replaced by another of its name unseen, as two',
      (store) => {
        store.set(a1);
        store.set({ ...a2, metadata: { ...a2.metadata, uid: 'another' } });
      },
      [
        { type: 'added', object: a1 },
        { type: 'deleted', object: a1 },
        { type: 'added', object: { ...a2, metadata: { ...a2.metadata, uid: 'another' } } },
      ],
    ],
    [
      'what a new list changes, and only that',
      (store) => {
        store.replace([a1, b]);
        store.replace([a2, b]);
        store.replace([b]);
      },
      [
        { type: 'added', object: a1 },
        { type: 'added', object: b },
        { type: 'updated', object: a2, old: a1 },
        { type: 'deleted', object: a2 },
      ],
    ],
  ])('hears of %s', (_, change, expected) => {
    change(store);
    expect(events).toEqual(expected);
  });

  test('late hears of what is there', () => {
    store.replace([a1, b]);
    const heard: StoreEvent[] = [];
    store.subscribe((event) => heard.push(event));
    expect(heard).toEqual([
      { type: 'added', object: a1 },
      { type: 'added', object: b },
    ]);
  });

  test('no more hears nothing', () => {
    const heard: StoreEvent[] = [];
    const end = store.subscribe((event) => heard.push(event));
    end();
    store.set(a1);
    expect(heard).toEqual([]);
  });
});

function owned(name: string, ...uids: string[]): KubeObject {
  return configMap(name, { ownerReferences: uids.map((uid) => ({ apiVersion: 'v1', kind: 'Pod', name: uid, uid })) });
}

function labelled(name: string, model: string): KubeObject {
  return configMap(name, { labels: { model } });
}

function names(objects: KubeObject[]): string[] {
  return objects.map(({ metadata }) => metadata.name).toSorted();
}

describe('objects are found', () => {
  test('by key and by namespace', () => {
    const elsewhere = configMap('a', { namespace: 'elsewhere' });
    store.replace([a1, elsewhere]);
    expect(store.get('elsewhere/a')).toBe(elsewhere);
    expect(store.list('elsewhere')).toEqual([elsewhere]);
    expect(store.list()).toHaveLength(2);
  });

  test('by each of their owners, as long as they have them', () => {
    store.replace([owned('x', 'u1', 'u2'), owned('y', 'u2'), owned('z')]);
    expect(store.byOwner('u2').map(({ metadata }) => metadata.name)).toEqual(['x', 'y']);
    store.set(owned('x', 'u1'));
    store.delete('default/y');
    expect(store.byOwner('u2')).toEqual([]);
    expect(store.byOwner('u1')).toHaveLength(1);
  });

  test('by label, also those that were there before anybody asked', () => {
    store.set(labelled('x', 'credit'));
    expect(store.byLabel('model', 'credit')).toHaveLength(1);
    store.set(labelled('y', 'credit'));
    store.set(labelled('x', 'fraud'));
    expect(store.byLabel('model', 'credit').map(({ metadata }) => metadata.name)).toEqual(['y']);
    expect(store.byLabel('model', 'none')).toEqual([]);
  });
});

test('indexes say what a search of all objects would say, whatever happened', () => {
  const anyObject = fc
    .record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      owner: fc.constantFrom('u', 'v'),
      model: fc.constantFrom('m', 'n'),
    })
    .map(({ name, owner, model }) =>
      configMap(name, {
        labels: { model },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: owner, uid: owner }],
        resourceVersion: `${owner}${model}`,
      }),
    );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(anyObject, fc.constantFrom('a', 'b'), fc.array(anyObject, { maxLength: 3 }))),
      (steps) => {
        const store = new Store();
        store.byLabel('model', 'm');
        for (const step of steps) {
          if (typeof step === 'string') store.delete(`default/${step}`);
          else if (Array.isArray(step)) store.replace(step);
          else store.set(step);
        }
        const all = store.list();
        for (const uid of ['u', 'v']) {
          expect(names(store.byOwner(uid))).toEqual(
            names(all.filter((o) => o.metadata.ownerReferences?.[0]?.uid === uid)),
          );
        }
        for (const model of ['m', 'n']) {
          expect(names(store.byLabel('model', model))).toEqual(
            names(all.filter((o) => o.metadata.labels?.['model'] === model)),
          );
        }
      },
    ),
  );
});
