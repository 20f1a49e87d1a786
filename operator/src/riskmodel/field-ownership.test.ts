import { expect, test } from '@jest/globals';
import { configMap } from '../testing/objects.ts';
import { appliedFields } from './field-ownership.ts';

const manager = 'riskmodel-operator';
const created = {
  manager,
  operation: 'Update',
  apiVersion: 'apps/v1',
  fieldsType: 'FieldsV1',
  fieldsV1: { 'f:metadata': { 'f:labels': {} }, 'f:spec': { 'f:replicas': {}, 'f:paused': {} } },
};
const scaled = { ...created, subresource: 'scale' };
const other = { ...created, manager: 'kubectl' };

test('what was said at the creation becomes what is applied, but for the number of pods', () => {
  const object = configMap('a', { managedFields: [created, scaled, other] });
  expect(appliedFields(object, manager)).toEqual([
    scaled,
    other,
    { ...created, operation: 'Apply', fieldsV1: { 'f:metadata': { 'f:labels': {} }, 'f:spec': { 'f:paused': {} } } },
  ]);
});

test('an object without a spec keeps all its fields', () => {
  const entry = { ...created, fieldsV1: { 'f:data': { 'f:x': {} } } };
  const object = configMap('a', { managedFields: [entry] });
  expect(appliedFields(object, manager)).toEqual([{ ...entry, operation: 'Apply' }]);
});

test('where both are said, what is applied counts', () => {
  const applied = { ...created, operation: 'Apply' };
  expect(appliedFields(configMap('a', { managedFields: [applied, created] }), manager)).toEqual([applied]);
});

test.each([
  ['an object that was applied from the first', [{ ...created, operation: 'Apply' }]],
  ['what somebody else said', [other]],
  ['what was said of another subresource', [scaled]],
  ['an object without any', undefined],
])('%s stays as it is', (_, managedFields) => {
  expect(appliedFields(configMap('a', managedFields && { managedFields }), manager)).toBeUndefined();
});
