import type { KubeObject, ObjectMeta } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';

export const configMapType: ResourceType = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
};

/** A ConfigMap in the namespace `default`, unless said otherwise. */
export function configMap(
  name: string,
  metadata: Partial<ObjectMeta> = {},
  data: Record<string, string> = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '1', ...metadata },
    data,
  };
}
