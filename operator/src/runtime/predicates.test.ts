import { describe, expect, test } from '@jest/globals';
import type { KubeObject, ObjectMeta } from '../kube/object.ts';
import { configMap } from '../testing/objects.ts';
import {
  allOf,
  annotationsChanged,
  anyOf,
  deletionChanged,
  fieldChanged,
  generationChanged,
  labelsChanged,
  type Predicate,
} from './predicates.ts';

const predicates = {
  generationChanged,
  labelsChanged,
  annotationsChanged,
  deletionChanged,
  statusChanged: fieldChanged('status'),
};
const base: Partial<ObjectMeta> = { generation: 1, labels: { a: '1' }, annotations: { b: '1' } };
const old: KubeObject = { ...configMap('a', base), status: { ready: 1 } };

test.each<[string, KubeObject, string[]]>([
  ['nothing but its version', { ...old, metadata: { ...old.metadata, resourceVersion: '2' } }, []],
  ['its spec', { ...old, metadata: { ...old.metadata, generation: 2 } }, ['generationChanged']],
  ['a label', { ...old, metadata: { ...old.metadata, labels: { a: '2' } } }, ['labelsChanged']],
  ['an annotation', { ...old, metadata: { ...old.metadata, annotations: {} } }, ['annotationsChanged']],
  [
    'that it is to be deleted',
    { ...old, metadata: { ...old.metadata, generation: 2, deletionTimestamp: '2025-01-01T00:00:00Z' } },
    ['generationChanged', 'deletionChanged'],
  ],
  ['a finalizer', { ...old, metadata: { ...old.metadata, finalizers: ['x'] } }, ['deletionChanged']],
  ['its status', { ...old, status: { ready: 2 } }, ['statusChanged']],
])('an update of %s passes where it should', (_, object, expected) => {
  const passing = Object.entries(predicates).filter(([, predicate]) => predicate({ type: 'updated', object, old }));
  expect(passing.map(([name]) => name)).toEqual(expected);
});

test.each(Object.entries(predicates))('what comes and goes passes %s', (_, predicate) => {
  expect(predicate({ type: 'added', object: old })).toBe(true);
  expect(predicate({ type: 'deleted', object: old })).toBe(true);
});

test('an object whose kind counts no generations always passes, as a change of it could be one of its content', () => {
  expect(generationChanged({ type: 'updated', object: configMap('a'), old: configMap('a') })).toBe(true);
});

describe('together', () => {
  const [yes, no]: Predicate[] = [() => true, () => false];
  test.each([
    ['any of two', anyOf(yes as Predicate, no as Predicate), true],
    ['all of two', allOf(yes as Predicate, no as Predicate), false],
  ])('%s', (_, predicate, expected) => {
    expect(predicate({ type: 'added', object: old })).toBe(expected);
  });
});
