import type { ObjectRef } from './object.ts';

/** One kind of object and where the API server keeps its objects. */
export interface ResourceType {
  /** `v1`, or `GROUP/VERSION`. */
  apiVersion: string;
  kind: string;
  /** The kind's name in paths, such as `deployments`. */
  plural: string;
  namespaced: boolean;
}

/** Whatever names a kind: a type, an object, a reference to one. */
export interface KindName {
  apiVersion: string;
  kind: string;
}

/** `Lease.coordination.k8s.io/v1`, `Pod.v1`: a kind's name in maps, logs and metrics. */
export function kindKey({ apiVersion, kind }: KindName): string {
  return `${kind}.${apiVersion}`;
}

/** `/api/v1` or `/apis/GROUP/VERSION`. */
export function apiPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

/** The path of a type's objects: of one namespace, or of all of them when none is given. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const scope = type.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${apiPath(type.apiVersion)}${scope}/${type.plural}`;
}

/**
 * The path of one object, or of its subresource.
 * @throws Error when a namespaced object is named without its namespace, which would address something else.
 */
export function objectPath(type: ResourceType, ref: ObjectRef, subresource?: string): string {
  if (ref.name === '') throw new Error(`Cannot address a ${type.kind} without a name`);
  if (type.namespaced && !ref.namespace) throw new Error(`Cannot address ${type.kind} ${ref.name} without a namespace`);
  const path = `${collectionPath(type, ref.namespace)}/${encodeURIComponent(ref.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}
