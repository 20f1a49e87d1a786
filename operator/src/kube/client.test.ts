import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { answerJson, startFaultServer, statusBody, type FaultServer } from '../testing/fault-server.ts';
import { configMap, configMapType } from '../testing/objects.ts';
import type { KubeClient } from './client.ts';
import type { KubeObject } from './object.ts';

const discoveryType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

function groups(...items: object[]): object {
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', items };
}

function resource(kind: string, resource: string, scope = 'Namespaced'): object {
  return { resource, scope, responseKind: { kind } };
}

let server: FaultServer;
let client: KubeClient;
/** The groups beside core. */
let apis: object[];
beforeEach(async () => {
  apis = [];
  server = await startFaultServer(({ path, headers, method }, response) => {
    if (path === '/api' || path === '/apis') {
      expect(headers.accept).toContain(discoveryType);
      const core = { versions: [{ version: 'v1', resources: [resource('ConfigMap', 'configmaps')] }] };
      const body = groups(...(path === '/api' ? [core] : apis));
      const etag = `"${JSON.stringify(body).length}"`;
      if (headers['if-none-match'] === etag) response.writeHead(304).end();
      else answerJson(response, 200, body, { etag });
    } else if (path.endsWith('/gone')) answerJson(response, 404, statusBody(404, 'NotFound'));
    else if (path.endsWith('/log')) response.end('last words\n');
    else if (path.endsWith('/configmaps') && method === 'GET') {
      const { uid: _, ...metadata } = configMap('a').metadata;
      answerJson(response, 200, {
        kind: 'ConfigMapList',
        metadata: { resourceVersion: '7', continue: 'more' },
        items: [{ metadata }],
      });
    } else answerJson(response, 200, configMap('a'));
  });
  client = server.client();
});
afterEach(() => server.close());

const ref = { namespace: 'default', name: 'a' };
const object: KubeObject = { ...configMap('a'), 'field of tomorrow': { kept: true } };
const path = '/api/v1/namespaces/default/configmaps/a';

test.each<[string, (client: KubeClient) => Promise<unknown>, object]>([
  ['get', (client) => client.get(configMapType, ref), { method: 'GET', path }],
  [
    'list',
    (client) => client.list(configMapType, { namespace: 'x', labelSelector: 'a=b', limit: 5, continue: 'c' }),
    { path: '/api/v1/namespaces/x/configmaps', query: { labelSelector: 'a=b', limit: '5', continue: 'c' } },
  ],
  [
    'apply',
    (client) => client.apply(object, { fieldManager: 'me', force: true }),
    {
      method: 'PATCH',
      path,
      query: { fieldManager: 'me', force: 'true' },
      headers: { 'content-type': 'application/apply-patch+yaml' },
      body: object,
    },
  ],
  [
    'applyStatus',
    (client) => client.applyStatus(object, { fieldManager: 'me' }),
    { method: 'PATCH', path: `${path}/status`, query: { fieldManager: 'me', force: 'false' } },
  ],
  [
    'create, dry',
    (client) => client.create(object, { dryRun: true }),
    { method: 'POST', path: '/api/v1/namespaces/default/configmaps', query: { dryRun: 'All' }, body: object },
  ],
  ['update', (client) => client.update(object), { method: 'PUT', path, body: object }],
  [
    'merge patch of a subresource',
    (client) => client.patch(configMapType, ref, { a: 1 }, { type: 'merge', subresource: 'scale' }),
    { path: `${path}/scale`, headers: { 'content-type': 'application/merge-patch+json' }, body: { a: 1 } },
  ],
  [
    'JSON patch',
    (client) => client.patch(configMapType, ref, [{ op: 'remove', path: '/a' }], { type: 'json' }),
    { headers: { 'content-type': 'application/json-patch+json' }, body: [{ op: 'remove', path: '/a' }] },
  ],
  [
    'delete',
    (client) => client.delete(configMapType, ref, { propagationPolicy: 'Foreground', preconditions: { uid: 'u' } }),
    {
      method: 'DELETE',
      path,
      body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground', preconditions: { uid: 'u' } },
    },
  ],
  [
    'logs',
    (client) => client.logs('default', 'p', { container: 'c', tailLines: 3, previous: true }),
    {
      path: '/api/v1/namespaces/default/pods/p/log',
      query: { container: 'c', tailLines: '3', previous: 'true', limitBytes: '65536' },
    },
  ],
])('%s is one request', async (_, call, expected) => {
  await call(client);
  const sent = server.requests.filter(({ path }) => path !== '/api' && path !== '/apis');
  expect(sent).toHaveLength(1);
  const body: unknown = sent[0]?.body ? JSON.parse(sent[0].body) : undefined;
  expect({ ...sent[0], body }).toMatchObject(expected);
});

describe('an answer', () => {
  test('of a list tells kind and version of each object, which the server leaves out', async () => {
    expect(await client.list(configMapType)).toMatchObject({
      items: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }],
      resourceVersion: '7',
      continue: 'more',
    });
  });

  test('that there is no such object is no error', async () => {
    expect(await client.get(configMapType, { ...ref, name: 'gone' })).toBeUndefined();
    expect(await client.delete(configMapType, { ...ref, name: 'gone' })).toBe(false);
    expect(await client.delete(configMapType, ref)).toBe(true);
  });

  test('of a log is its text', async () => {
    expect(await client.logs('default', 'p')).toBe('last words\n');
  });
});

test('an apply does not say whose fields are whose, which the server would refuse', async () => {
  await client.apply(configMap('a', { managedFields: [{}] }), { fieldManager: 'me' });
  expect(server.requests.at(-1)?.body).not.toContain('managedFields');
});

test('a namespaced object without a namespace is not written anywhere', async () => {
  const { namespace: _, ...metadata } = configMap('a').metadata;
  await expect(client.create({ ...object, metadata })).rejects.toThrow('without a namespace');
});

describe('discovery', () => {
  const keda = {
    metadata: { name: 'keda.sh' },
    versions: [{ version: 'v1alpha1', resources: [resource('ScaledObject', 'scaledobjects')] }],
  };

  test('tells what is served', async () => {
    apis = [keda];
    const discovery = await client.discover();
    expect(discovery.has('v1', 'ConfigMap')).toBe(true);
    expect(discovery.has('keda.sh/v1alpha1', 'ScaledObject')).toBe(true);
    expect(discovery.has('keda.sh/v1', 'ScaledObject')).toBe(false);
    expect(discovery.typeOf(object)).toEqual(configMapType);
  });

  test('costs no body when nothing has changed, and sees what has', async () => {
    const first = await client.discover();
    expect(await client.discover()).toBe(first);
    apis = [keda];
    expect((await client.discover()).has('keda.sh/v1alpha1', 'ScaledObject')).toBe(true);
  });

  test('is asked once for all who write at the same time', async () => {
    await Promise.all(['a', 'b', 'c'].map((name) => client.apply(configMap(name), { fieldManager: 'me' })));
    expect(server.requests.filter(({ path }) => path === '/apis')).toHaveLength(1);
  });

  test('is asked no more for a kind that was just found absent', async () => {
    const unknown = { ...object, kind: 'Unheard' };
    for (let i = 0; i < 3; i++) {
      await expect(client.apply(unknown, { fieldManager: 'me' })).rejects.toMatchObject({
        status: 404,
        code: 'NoSuchKind',
      });
    }
    expect(server.requests).toHaveLength(2);
  });
});
