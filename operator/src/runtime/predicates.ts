import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../kube/object.ts';
import type { StoreEvent } from './store.ts';

/** Whether a change is worth a reconcile. */
export type Predicate = (event: StoreEvent) => boolean;

/** Passes what comes and goes, and of the updates those for which `hasChanged` holds. */
export function onUpdate(hasChanged: (object: KubeObject, old: KubeObject) => boolean): Predicate {
  return (event) => event.type !== 'updated' || hasChanged(event.object, event.old);
}

/** Drops updates that leave the spec as it was, such as those of status. Objects without generations always pass. */
export const generationChanged: Predicate = onUpdate(
  ({ metadata: { generation } }, { metadata: old }) => generation === undefined || generation !== old.generation,
);

export const labelsChanged: Predicate = onUpdate(
  (object, old) => !isDeepStrictEqual(object.metadata.labels, old.metadata.labels),
);

export const annotationsChanged: Predicate = onUpdate(
  (object, old) => !isDeepStrictEqual(object.metadata.annotations, old.metadata.annotations),
);

/** Passes when deletion was asked for, or a finalizer came or went. */
export const deletionChanged: Predicate = onUpdate(
  ({ metadata }, { metadata: old }) =>
    metadata.deletionTimestamp !== old.deletionTimestamp || !isDeepStrictEqual(metadata.finalizers, old.finalizers),
);

/** Passes when the field, such as `status`, changed. */
export function fieldChanged(field: string): Predicate {
  return onUpdate((object, old) => !isDeepStrictEqual(object[field], old[field]));
}

export function anyOf(...predicates: Predicate[]): Predicate {
  return (event) => predicates.some((predicate) => predicate(event));
}

export function allOf(...predicates: Predicate[]): Predicate {
  return (event) => predicates.every((predicate) => predicate(event));
}
