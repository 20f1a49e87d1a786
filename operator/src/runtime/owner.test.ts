import { expect, test } from '@jest/globals';
import type { OwnerReference } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import { configMap } from '../testing/objects.ts';
import { enqueueOwner, enqueueSelf } from './owner.ts';

const models: ResourceType = { apiVersion: 'x.io/v1', kind: 'Model', plural: 'models', namespaced: true };
const owner: OwnerReference = { apiVersion: 'x.io/v1', kind: 'Model', name: 'credit', uid: 'u', controller: true };

test.each<[string, OwnerReference[], string[]]>([
  ['its controller', [owner], ['default/credit']],
  ['its controller, of another version', [{ ...owner, apiVersion: 'x.io/v1alpha1' }], ['default/credit']],
  ['nothing, when the owner does not control it', [{ ...owner, controller: false }], []],
  ['nothing, when the owner is of another kind', [{ ...owner, kind: 'Other' }], []],
  ['nothing, when the owner is of another group', [{ ...owner, apiVersion: 'y.io/v1' }], []],
  ['nothing, when it has no owner', [], []],
])('an object makes due %s', (_, ownerReferences, expected) => {
  expect([...enqueueOwner(models)(configMap('a', { ownerReferences }))]).toEqual(expected);
});

test('an owner of the cluster has no namespace', () => {
  const clusterModels = { ...models, namespaced: false };
  expect([...enqueueOwner(clusterModels)(configMap('a', { ownerReferences: [owner] }))]).toEqual(['credit']);
});

test('an object makes itself due', () => {
  expect([...enqueueSelf(configMap('a'))]).toEqual(['default/a']);
});
