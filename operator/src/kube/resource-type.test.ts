import { expect, test } from '@jest/globals';
import { collectionPath, kindKey, objectPath, type ResourceType } from './resource-type.ts';

const pods: ResourceType = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };
const deployments: ResourceType = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
};
const nodes: ResourceType = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };

test.each([
  ['core, one namespace', collectionPath(pods, 'risk'), '/api/v1/namespaces/risk/pods'],
  ['core, all namespaces', collectionPath(pods), '/api/v1/pods'],
  ['a group', collectionPath(deployments, 'risk'), '/apis/apps/v1/namespaces/risk/deployments'],
  ['cluster-scoped, though a namespace is given', collectionPath(nodes, 'risk'), '/api/v1/nodes'],
  ['an object', objectPath(deployments, { namespace: 'a', name: 'b' }), '/apis/apps/v1/namespaces/a/deployments/b'],
  ['a subresource', objectPath(nodes, { name: 'n' }, 'status'), '/api/v1/nodes/n/status'],
  ['a name that needs escaping', objectPath(nodes, { name: 'a/../b' }), '/api/v1/nodes/a%2F..%2Fb'],
])('the path of %s', (_, path, expected) => {
  expect(path).toBe(expected);
});

test.each([
  ['without a namespace', () => objectPath(pods, { name: 'p' }), 'Cannot address Pod p without a namespace'],
  ['without a name', () => objectPath(nodes, { name: '' }), 'Cannot address a Node without a name'],
])('an object %s is refused, since the path would be that of others', (_, path, message) => {
  expect(path).toThrow(message);
});

test('a kind is named with its group and version', () => {
  expect(kindKey(deployments)).toBe('Deployment.apps/v1');
});
