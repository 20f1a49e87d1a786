import { expect, test } from '@jest/globals';
import type { KubeObject } from '../kube/object.ts';
import { configMap } from '../testing/objects.ts';
import { makeCachedObject } from './cached-object.ts';

test('a cached object has all but its managedFields', () => {
  const object = configMap('a', { managedFields: [{ manager: 'x' }] }, { key: 'value' });
  const { managedFields: _, ...metadata } = object.metadata;
  expect(makeCachedObject(object)).toEqual({ ...object, metadata });
});

test("a cached object does not have kubectl's copy of it", () => {
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', other: 'x' };
  const object = configMap('a', { annotations });
  expect(makeCachedObject(object).metadata.annotations).toEqual({ other: 'x' });
  expect(object.metadata.annotations).toEqual(annotations);
});

test('a cached object can be changed nowhere', () => {
  const object = makeCachedObject({ ...configMap('a'), spec: { list: [{ deep: { deeper: 1 } }], nothing: null } });
  const spec = object['spec'] as { list: [{ deep: { deeper: number } }] };
  expect(() => (spec.list[0].deep.deeper = 2)).toThrow(TypeError);
  expect(() => (object.metadata.name = 'b')).toThrow(TypeError);
});

function withoutData(object: KubeObject): KubeObject {
  return { ...object, data: undefined };
}

test('what a type can do without is left out', () => {
  const object = makeCachedObject(configMap('a', {}, { large: '...' }), withoutData);
  expect(object).toMatchObject({ data: undefined });
});
