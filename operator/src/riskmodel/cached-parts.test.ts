import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../kube/object.ts';
import type { StoreEvent } from '../runtime/store.ts';
import { configMap } from '../testing/objects.ts';
import { contentChanged, podFailureChanged, podState, withoutStatus } from './cached-parts.ts';
import { findPodFailure } from './pod-failure.ts';

const object = configMap('a', { resourceVersion: '1' });

function update(object: KubeObject, old: KubeObject): StoreEvent {
  return { type: 'updated', object, old };
}

function pod(status: object, resourceVersion = '1'): KubeObject {
  const metadata = {
    name: 'p',
    namespace: 'n',
    uid: 'u',
    resourceVersion,
    labels: { l: 'x' },
    annotations: { a: 'y' },
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [] }, status: { phase: 'Pending', ...status } };
}

const stuck = {
  containerStatuses: [{ name: 'server', state: { waiting: { reason: 'ImagePullBackOff', message: 'no image' } } }],
};

test('of what is only held to its spec, the state is not kept', () => {
  expect(withoutStatus({ ...object, status: { conditions: [] } })).toEqual(object);
});

test('of a pod there is kept whose it is and why it does not come up', () => {
  const { metadata, ...kept } = podState(pod(stuck));
  expect(metadata).toEqual({ name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', labels: { l: 'x' } });
  expect(kept).toEqual({ apiVersion: 'v1', kind: 'Pod', status: stuck });
  expect(findPodFailure([podState(pod(stuck))])?.reason).toBe('ImagePullBackOff');
});

describe('changes that are looked at', () => {
  test.each<[what: string, event: StoreEvent, passes: boolean]>([
    ['another version of the same', update(configMap('a', { resourceVersion: '2' }), object), false],
    ['other contents', update(configMap('a', { resourceVersion: '2' }, { k: 'v' }), object), true],
    ['other labels', update(configMap('a', { resourceVersion: '2', labels: { l: 'x' } }), object), true],
    ['something new', { type: 'added', object }, true],
    ['something gone', { type: 'deleted', object }, true],
  ])('%s', (_, event, passes) => {
    expect(contentChanged(event)).toBe(passes);
  });

  test.each<[what: string, event: StoreEvent, passes: boolean]>([
    ['a pod that starts', { type: 'added', object: pod({}) }, false],
    ['a pod that is stuck from the first', { type: 'added', object: pod(stuck) }, true],
    ['a pod that gets stuck', update(pod(stuck, '2'), pod({})), true],
    ['a pod that is stuck as before', update(pod(stuck, '2'), pod(stuck)), false],
    ['a pod that recovers', update(pod({}, '2'), pod(stuck)), true],
    ['a pod that goes', { type: 'deleted', object: pod({}) }, false],
    ['a stuck pod that goes', { type: 'deleted', object: pod(stuck) }, true],
  ])('%s', (_, event, passes) => {
    expect(podFailureChanged(event)).toBe(passes);
  });
});
