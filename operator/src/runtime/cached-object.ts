import type { KubeObject } from '../kube/object.ts';

/** Leaves something out of the objects of a type before they are cached, to save memory. */
export type Transform = (object: KubeObject) => KubeObject;

/**
 * The object as the cache keeps it: without `managedFields`, which nobody here reads and which is often the larger
 * half, and frozen all through, since everyone shares it.
 */
export function makeCachedObject(object: KubeObject, transform: Transform = (object) => object): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return deepFreeze(transform({ ...object, metadata }));
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
