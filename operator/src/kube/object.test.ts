import { describe, expect, test } from '@jest/globals';
import { configMap } from '../testing/objects.ts';
import { controllerOf, controllerReference, keyOf, refOf } from './object.ts';

describe('the key of an object', () => {
  test.each([
    ['in a namespace', { namespace: 'risk', name: 'credit' }, 'risk/credit'],
    ['of the cluster', { name: 'node-1' }, 'node-1'],
  ])('%s leads back to it', (_, ref, key) => {
    expect(keyOf(ref)).toBe(key);
    expect(refOf(key)).toEqual(ref);
  });
});

describe('an owner', () => {
  test('controls what refers to it', () => {
    const reference = controllerReference(configMap('owner'));
    const owned = configMap('owned', {
      ownerReferences: [{ ...reference, controller: false, uid: 'other' }, reference],
    });
    expect(controllerOf(owned)).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'owner',
      uid: 'uid-owner',
      controller: true,
      blockOwnerDeletion: true,
    });
  });

  test('must have been created', () => {
    const { uid: _, ...metadata } = configMap('owner').metadata;
    expect(() => controllerReference({ ...configMap('owner'), metadata })).toThrow('ConfigMap owner has no uid yet');
  });

  test('that controls nothing is none', () => {
    expect(controllerOf(configMap('alone'))).toBeUndefined();
  });
});
