import type { ObjectMeta } from '../kube/object.ts';

export const labels = {
  name: 'app.kubernetes.io/name',
  component: 'app.kubernetes.io/component',
  managedBy: 'app.kubernetes.io/managed-by',
  model: 'riskmodel.io/model',
  revision: 'riskmodel.io/revision',
} as const;

export const annotations = {
  /** On a revision's Deployment: when it stopped being the one that traffic goes to (RFC 3339). */
  retiredAt: 'riskmodel.io/retired-at',
} as const;

export const managedBy = 'riskmodel-operator';
export type Component = 'server' | 'queue-worker';

/** Labels of everything that belongs to a model. */
export function modelLabels(model: string): Record<string, string> {
  return { [labels.name]: 'riskmodel', [labels.managedBy]: managedBy, [labels.model]: model };
}

/** What finds the pods of a component, of one revision where there are several. These never change. */
export function podSelector(model: string, component: Component, revision?: string): Record<string, string> {
  return {
    [labels.name]: 'riskmodel',
    [labels.model]: model,
    [labels.component]: component,
    ...(revision === undefined ? {} : { [labels.revision]: revision }),
  };
}

export function revisionOf(object: { metadata: ObjectMeta } | undefined): string | undefined {
  return object?.metadata.labels?.[labels.revision];
}
