import { expect, test } from '@jest/globals';
import type { KubeObject } from '../kube/object.ts';
import { modelLookup } from './model-lookup.ts';

const found: KubeObject = { apiVersion: 'riskmodel.io/v1alpha1', kind: 'RiskModel', metadata: { name: 'credit' } };

test.each([
  ['there', async () => found, true],
  ['not there', async () => undefined, false],
  ['unknown, when it can not be asked for', () => Promise.reject(new Error('away')), undefined],
])('a model is %s', async (_name, get, expected) => {
  expect(await modelLookup({ get })('risk', 'credit')).toBe(expected);
});

/** As `KubeClient.get` when the server hangs. */
function hang(_type: unknown, _ref: unknown, signal?: AbortSignal): Promise<undefined> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('timeout')));
  });
}

test('a model is unknown when the answer takes long', async () => {
  expect(await modelLookup({ get: hang }, 5)('risk', 'credit')).toBeUndefined();
});
