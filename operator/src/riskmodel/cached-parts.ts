// What of the objects in the caches is read, and which of their changes matter: with thousands of models, the rest is most
// of the memory and most of the reconciles.
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../kube/object.ts';
import type { Transform } from '../runtime/cached-object.ts';
import { onUpdate, type Predicate } from '../runtime/predicates.ts';
import { findPodFailure } from './pod-failure.ts';

/** Of a Deployment its state counts too; autoscalers, budgets and Services are only held to what they are to be. */
export const withoutStatus: Transform = (object) => {
  const { status: _, ...rest } = object;
  return rest;
};

/** Of a pod only why it does not come up is read. */
export const podState: Transform = ({ apiVersion, kind, metadata, status }) => {
  const { name, namespace = '', uid = '', resourceVersion = '', labels = {} } = metadata;
  const { conditions, containerStatuses } = (status ?? {}) as Record<string, unknown>;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, resourceVersion, labels },
    status: { conditions, containerStatuses },
  };
};

/** Drops updates that only say that somebody else wrote the state, which is not cached. */
export const contentChanged: Predicate = onUpdate(
  (object, old) => !isDeepStrictEqual(withoutVersion(object), withoutVersion(old)),
);

/** Passes when what keeps a pod from coming up changes. That it is up is told by its Deployment. */
export const podFailureChanged: Predicate = (event) => {
  const before = event.type === 'updated' ? findPodFailure([event.old]) : undefined;
  return !isDeepStrictEqual(findPodFailure([event.object]), before);
};

function withoutVersion(object: KubeObject): unknown {
  const { resourceVersion: _, generation: __, ...metadata } = object.metadata;
  return { ...object, metadata };
}
