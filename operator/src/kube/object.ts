// The folder's first word: what every Kubernetes object looks like. Objects are held as the JSON they came as, so that
// a field this program has never heard of survives being read and written back.

/** Names the object that another one belongs to. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** `metadata`, as the API server writes it; every time is RFC 3339 text. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  managedFields?: unknown[];
}

/** Any object of any kind. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/** Where an object is found, given its type. Cluster-scoped objects have no namespace. */
export interface ObjectRef {
  namespace?: string;
  name: string;
}

/** The object's name in stores and queues: `NAMESPACE/NAME`, or `NAME` when it is cluster-scoped. */
export function keyOf({ namespace, name }: ObjectRef): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** The inverse of `keyOf`. Neither namespaces nor names can hold a slash. */
export function refOf(key: string): ObjectRef {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The reference that makes `owner` the one controller of another object; the cluster then deletes it with `owner`. */
export function controllerReference(owner: KubeObject): OwnerReference {
  const { uid, name } = owner.metadata;
  if (uid === undefined) throw new Error(`${owner.kind} ${name} has no uid yet, so it cannot own anything`);
  const { apiVersion, kind } = owner;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** The owner that controls the object, if any. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}
