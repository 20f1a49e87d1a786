import { beforeEach, describe, expect, test } from '@jest/globals';
import { KubeError } from '../kube/kube-error.ts';
import type { KubeObject, ObjectMeta } from '../kube/object.ts';
import { configMap } from '../testing/objects.ts';
import { Applier, fieldManager, NotOwnedError, type Writer } from './applier.ts';
import { configMaps } from './resource-types.ts';

const owner = { apiVersion: 'riskmodel.io/v1alpha1', kind: 'RiskModel', name: 'm', uid: 'model', controller: true };
const stranger = { ...owner, uid: 'stranger' };

/** What the cluster has, under the one name that is used here, and what was asked of it. */
let cluster: KubeObject | undefined;
let cached: KubeObject | undefined;
let requests: [verb: string, body?: unknown][];
let applier: Applier;

function object(metadata: Partial<ObjectMeta> = {}, data: Record<string, string> = { a: '1' }): KubeObject {
  const { resourceVersion: _, uid: __, ...rest } = configMap('x').metadata;
  return { ...configMap('x', {}, data), metadata: { ...rest, ownerReferences: [owner], ...metadata } };
}

function written(verb: string, body: unknown, object: KubeObject): Promise<KubeObject> {
  requests.push([verb, body]);
  const resourceVersion = String(Number(cluster?.metadata.resourceVersion ?? 10) + 1);
  cluster = { ...object, metadata: { ...object.metadata, uid: 'u', resourceVersion, managedFields: [{}] } };
  return Promise.resolve(cluster);
}

const writer: Writer = {
  get: () => {
    requests.push(['get']);
    return Promise.resolve(cluster);
  },
  create: (body) =>
    cluster === undefined
      ? written('create', body, body)
      : Promise.reject(new KubeError(409, 'AlreadyExists', 'create ConfigMap: it exists')),
  apply: (body) => written('apply', body, body),
  patch: (_, __, body) => written('patch', body, cluster as KubeObject),
  delete: () => Promise.reject(new Error('not asked for')),
};

beforeEach(() => {
  cluster = undefined;
  cached = undefined;
  requests = [];
  applier = new Applier(writer, () => cached);
});

describe('an object that no cache has', () => {
  test('is created by one request', async () => {
    await applier.apply(object());
    expect(requests).toEqual([['create', object()]]);
  });

  test('may begin with more than it is held to', async () => {
    const atFirst = object({}, { a: '1', b: '2' });
    await applier.apply(object(), atFirst);
    await applier.apply(object(), atFirst);
    expect(requests).toEqual([['create', atFirst]]);
  });

  test('is not taken over when somebody else has one of its name', async () => {
    cluster = object({ ownerReferences: [stranger] });
    await expect(applier.apply(object())).rejects.toThrow(NotOwnedError);
    expect(requests).toEqual([['get']]);
  });

  test('is applied when it is there all the same, and ours', async () => {
    cluster = object({}, { a: '0' });
    await applier.apply(object());
    expect(requests.map(([verb]) => verb)).toEqual(['get', 'apply']);
  });
});

describe('an object that is there', () => {
  test('is left alone when it has everything', async () => {
    cached = object({}, { a: '1', more: 'of somebody else' });
    await applier.apply(object());
    expect(requests).toEqual([]);
  });

  test('is not written to when it is somebody else’s', async () => {
    cached = object({ ownerReferences: [stranger] });
    await expect(applier.apply(object())).rejects.toThrow(NotOwnedError);
    expect(requests).toEqual([]);
  });

  test('that was created has its fields made the apply’s own first, so that they can be taken away', async () => {
    const entry = { manager: fieldManager, operation: 'Update', fieldsV1: {} };
    cached = object({ resourceVersion: '5' }, { a: '0' });
    cluster = object({ resourceVersion: '7', managedFields: [entry] }, { a: '0' });
    await applier.apply(object());
    expect(requests).toEqual([
      ['get'],
      [
        'patch',
        [
          { op: 'replace', path: '/metadata/managedFields', value: [{ ...entry, operation: 'Apply' }] },
          { op: 'replace', path: '/metadata/resourceVersion', value: '7' },
        ],
      ],
      ['apply', object()],
    ]);
  });
});

describe('what was written', () => {
  test('counts until the cache has it, without who manages what', async () => {
    await applier.apply(object());
    expect(applier.live(configMaps, 'default/x')?.metadata).toMatchObject({ uid: 'u', resourceVersion: '11' });
    expect(applier.live(configMaps, 'default/x')?.metadata).not.toHaveProperty('managedFields');
    applier.take({ type: 'updated', object: object({ resourceVersion: '9' }), old: object() });
    expect(applier.live(configMaps, 'default/x')).toBeDefined();
    applier.take({ type: 'added', object: object({ uid: 'u', resourceVersion: '11' }) });
    expect(applier.live(configMaps, 'default/x')).toBeUndefined();
  });

  test('counts no longer when the cache drops it, but when it drops another of its name', async () => {
    await applier.apply(object());
    applier.take({ type: 'deleted', object: object({ uid: 'before' }) });
    expect(applier.live(configMaps, 'default/x')).toBeDefined();
    applier.take({ type: 'deleted', object: object({ uid: 'u' }) });
    expect(applier.live(configMaps, 'default/x')).toBeUndefined();
  });
});
