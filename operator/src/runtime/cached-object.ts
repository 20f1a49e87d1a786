import type { KubeObject } from '../kube/object.ts';

/** Leaves something out of the objects of a type before they are cached, to save memory. */
export type Transform = (object: KubeObject) => KubeObject;

/** kubectl's own copy of the object. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * The object as the cache keeps it: without `managedFields` and kubectl's copy, which nobody here reads and which are
 * often the larger part, and frozen all through, since everyone shares it.
 */
export function makeCachedObject(object: KubeObject, transform: Transform = (object) => object): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  if (metadata.annotations?.[lastApplied] !== undefined) {
    const { [lastApplied]: __, ...annotations } = metadata.annotations;
    metadata.annotations = annotations;
  }
  return deepFreeze(transform({ ...object, metadata }));
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
