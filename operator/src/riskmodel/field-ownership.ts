import type { KubeObject } from '../kube/object.ts';

/** An entry of `metadata.managedFields`. */
interface ManagedFields {
  manager?: string;
  operation?: string;
  subresource?: string;
  fieldsV1?: { 'f:spec'?: Record<string, unknown>; [field: string]: unknown };
  [field: string]: unknown;
}

/**
 * An object that was created, rather than applied, has fields that its manager said by an "Update". An apply would leave
 * them to it, and so never take one away that is said no longer. This is what client-go's csaupgrade does about it: the
 * entry becomes that of an "Apply".
 * @returns `metadata.managedFields` as it should be before the manager applies; undefined when it is so already
 */
export function appliedFields(object: KubeObject, manager: string): ManagedFields[] | undefined {
  const entries = (object.metadata.managedFields ?? []) as ManagedFields[];
  const isOurs = (entry: ManagedFields): boolean => entry.manager === manager && (entry.subresource ?? '') === '';
  const created = entries.find((entry) => isOurs(entry) && entry.operation === 'Update');
  if (created === undefined) return undefined;
  const others = entries.filter((entry) => entry !== created);
  if (others.some((entry) => isOurs(entry) && entry.operation === 'Apply')) return others;
  return [...others, { ...created, operation: 'Apply', fieldsV1: withoutReplicas(created.fieldsV1) }];
}

/** How many pods there are at first is said at the creation, and is then the autoscaler's to say. */
function withoutReplicas(fields: ManagedFields['fieldsV1'] = {}): ManagedFields['fieldsV1'] {
  const { 'f:spec': spec, ...rest } = fields;
  if (spec === undefined) return fields;
  const { 'f:replicas': _, ...others } = spec;
  return { ...rest, 'f:spec': others };
}
