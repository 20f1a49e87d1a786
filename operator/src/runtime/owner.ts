import { controllerOf, keyOf, type KubeObject } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';

/** The keys that a change of an object makes due. */
export type MapToKeys = (object: KubeObject) => Iterable<string>;

/** Maps an object to the one that controls it, if that is of the given type, in whichever version it was written. */
export function enqueueOwner(owner: ResourceType): MapToKeys {
  return (object) => {
    const reference = controllerOf(object);
    if (reference?.kind !== owner.kind || groupOf(reference.apiVersion) !== groupOf(owner.apiVersion)) return [];
    const { name } = reference;
    return [keyOf(owner.namespaced ? { namespace: object.metadata.namespace ?? '', name } : { name })];
  };
}

/** Maps an object to itself. */
export const enqueueSelf: MapToKeys = (object) => [keyOf(object.metadata)];

function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}
