import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { KubeClient } from '../../operator/src/kube/client.ts';
import { isAlreadyExists, isConflict, isForbidden, isInvalid } from '../../operator/src/kube/kube-error.ts';
import type { KubeObject } from '../../operator/src/kube/object.ts';
import type { ResourceType } from '../../operator/src/kube/resource-type.ts';
import type { WatchEvent } from '../../operator/src/kube/watch-stream.ts';
import type { ControlPlane } from '../harness/cluster/control-plane.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { buildTimeoutMs, clientOf, configMapType, inParallel, makeConfigMap, startPlane } from './plane.ts';

jest.setTimeout(120_000);

const deploymentType: ResourceType = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
};

let plane: ControlPlane;
let client: KubeClient;
beforeAll(async () => {
  plane = await startPlane();
  client = await clientOf(plane);
}, buildTimeoutMs);
afterAll(async () => {
  await client?.close();
  await plane?.stop();
});

function deployment(name: string, replicas?: number): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'c', image: 'i' }] },
      },
    },
  };
}

const ref = (name: string): { namespace: string; name: string } => ({ namespace: 'default', name });
const mine = { fieldManager: 'me' };

describe('server-side apply', () => {
  test('creates, changes nothing when nothing changes, and leaves alone what belongs to others', async () => {
    const created = await client.apply(deployment('shared'), mine);
    expect((await client.apply(deployment('shared'), mine)).metadata.resourceVersion).toBe(
      created.metadata.resourceVersion,
    );
    await client.patch(
      deploymentType,
      ref('shared'),
      { spec: { replicas: 5 } },
      { type: 'merge', fieldManager: 'scaler' },
    );
    expect(await client.apply(deployment('shared'), mine)).toMatchObject({ spec: { replicas: 5 } });
  });

  test('of a field that another manager has is a conflict, unless forced', async () => {
    await client.apply(deployment('fought', 1), { fieldManager: 'other' });
    const fighting = client.apply(deployment('fought', 2), mine).catch((error: unknown) => error);
    expect(isConflict(await fighting)).toBe(true);
    expect(await client.apply(deployment('fought', 2), { ...mine, force: true })).toMatchObject({
      spec: { replicas: 2 },
    });
  });

  test('of an object from the cache, which the server fills in, is accepted', async () => {
    await client.apply(makeConfigMap('again', { a: '1' }), mine);
    const { metadata, ...rest } = (await client.get(configMapType, ref('again'))) as KubeObject;
    expect(metadata.managedFields).toHaveLength(1);
    await client.apply({ ...rest, metadata }, mine);
  });

  test('of status writes status and nothing else', async () => {
    await client.apply(deployment('reported', 1), mine);
    const status = { ...deployment('reported', 7), status: { replicas: 3 } };
    await client.applyStatus(status, mine);
    expect(await client.get(deploymentType, ref('reported'))).toMatchObject({
      spec: { replicas: 1 },
      status: { replicas: 3 },
    });
  });

  test('that is dry writes nothing, and refuses what would be refused', async () => {
    await client.apply(makeConfigMap('dry'), { ...mine, dryRun: true });
    expect(await client.get(configMapType, ref('dry'))).toBeUndefined();
    const wrong = { ...deployment('wrong'), spec: {} };
    const refused = client.apply(wrong, { ...mine, dryRun: true }).catch((error: unknown) => error);
    expect(isInvalid(await refused)).toBe(true);
  });
});

function makeCrd(name: string): KubeObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${name}.test.io` },
    spec: {
      group: 'test.io',
      scope: 'Namespaced',
      names: { kind: 'Gadget', plural: name },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: {
                  type: 'object',
                  properties: { size: { type: 'integer', default: 3 } },
                  'x-kubernetes-preserve-unknown-fields': true,
                  'x-kubernetes-validations': [{ rule: 'self.size < 10', message: 'size must be below 10' }],
                },
              },
            },
          },
        },
      ],
    },
  };
}

describe('a field that no type of this program knows', () => {
  test('is written and read back: defaults and CEL rules of a CRD hold, and its objects are whole', async () => {
    await client.create(makeCrd('gadgets'));
    const gadget = {
      apiVersion: 'test.io/v1',
      kind: 'Gadget',
      metadata: ref('g'),
      spec: { deep: { unknown: [1, { a: null }] } },
    };
    const startedAt = performance.now();
    // The kind is found by discovery, which has to be asked again.
    let created: KubeObject | undefined;
    await eventually(async () => {
      created = await client.create(gadget);
    });
    printFigure(
      `an object of a new kind could be written ${Math.round(performance.now() - startedAt)} ms after its CRD`,
    );
    expect(created?.['spec']).toEqual({ size: 3, deep: { unknown: [1, { a: null }] } });
    const refused = client.create({ ...gadget, metadata: ref('h'), spec: { size: 11 } });
    await expect(refused).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining('size must be below 10'),
    });
  });
});

describe('who writes on what was changed meanwhile', () => {
  test('by its resourceVersion has a conflict', async () => {
    const created = await client.create(makeConfigMap('race'));
    await client.update({ ...created, data: { a: '1' } });
    const late = client.update({ ...created, data: { a: '2' } }).catch((error: unknown) => error);
    expect(isConflict(await late)).toBe(true);
  });

  test('by creating it again is told so', async () => {
    await client.create(makeConfigMap('twice'));
    expect(isAlreadyExists(await client.create(makeConfigMap('twice')).catch((error: unknown) => error))).toBe(true);
  });

  test('does not delete another object of the same name', async () => {
    await client.create(makeConfigMap('reborn'));
    const late = client.delete(configMapType, ref('reborn'), { preconditions: { uid: 'another' } });
    expect(isConflict(await late.catch((error: unknown) => error))).toBe(true);
    expect(await client.delete(configMapType, ref('reborn'))).toBe(true);
    expect(await client.delete(configMapType, ref('reborn'))).toBe(false);
  });
});

describe('lists and watches', () => {
  test('go page by page and carry on from there', async () => {
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'pages' } });
    await inParallel(['a', 'b', 'c'], 3, (name) => client.create(makeConfigMap(name, {}, 'pages')));
    const first = await client.list(configMapType, { namespace: 'pages', limit: 2 });
    const second = await client.list(configMapType, { namespace: 'pages', limit: 2, continue: first.continue });
    const { items, resourceVersion } = second;
    expect([...first.items, ...items].map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(
      expect.arrayContaining(['ConfigMap a', 'ConfigMap b', 'ConfigMap c']),
    );
    await client.delete(configMapType, { namespace: 'pages', name: 'a' });
    const events: WatchEvent[] = [];
    for await (const event of client.watch(configMapType, { namespace: 'pages', resourceVersion, timeoutSeconds: 1 })) {
      events.push(event);
    }
    expect(events).toMatchObject([{ type: 'DELETED', object: { kind: 'ConfigMap', metadata: { name: 'a' } } }]);
    expect(typeof events[0]?.object.metadata.creationTimestamp).toBe('string');
  });
});

test('who may not is told so', async () => {
  await plane.kubectl.run(['create', 'serviceaccount', 'nobody']);
  const kubeconfig = await plane.kubeconfigFor({ serviceAccount: 'default/nobody' });
  const nobody = await clientOf({ ...plane, kubeconfig });
  expect(isForbidden(await nobody.list(configMapType).catch((error: unknown) => error))).toBe(true);
  // Everybody may ask what there is.
  expect((await nobody.discover()).has('v1', 'ConfigMap')).toBe(true);
  await nobody.close();
});

test('the log of a pod that is not there is an error, not an empty text', async () => {
  await expect(client.logs('default', 'none')).rejects.toMatchObject({ status: 404 });
});

test('discovery tells what this cluster serves, and its version', async () => {
  const discovery = await client.discover();
  expect(discovery.typeOf({ apiVersion: 'apps/v1', kind: 'Deployment' })).toEqual(deploymentType);
  expect(discovery.has('autoscaling/v2', 'HorizontalPodAutoscaler')).toBe(true);
  expect(discovery.has('keda.sh/v1alpha1', 'ScaledObject')).toBe(false);
  expect((await client.serverVersion()).gitVersion).toMatch(/^v1\.\d+\.\d+/);
});

test('how fast it is', async () => {
  const names = Array.from({ length: 1_000 }, (_, index) => `speed-${index}`);
  const perSecond = async (work: (name: string) => Promise<unknown>): Promise<number> => {
    const startedAt = performance.now();
    await inParallel(names, 16, work);
    return Math.round((names.length / (performance.now() - startedAt)) * 1_000);
  };
  const creates = await perSecond((name) => client.apply(makeConfigMap(name, { a: '1' }), mine));
  const gets = await perSecond((name) => client.get(configMapType, ref(name)));
  printFigure(`16 at a time: ${creates} applies/s that create, ${gets} gets/s`);
  const { items } = await client.list(configMapType, { namespace: 'default' });
  expect(items.filter(({ metadata }) => metadata.name.startsWith('speed-'))).toHaveLength(names.length);
});
