// The names of a model's objects. A model's name has at most 63 characters and a revision's 8, so what carries both is
// cut to fit a DNS label; the revision keeps such names apart within a model.

const longestLabel = 63;

export const serviceAccountName = (model: string): string => model;
export const stableServiceName = (model: string): string => model;
export const workerName = (model: string): string => withSuffix(model, 'worker');

/** Deployment, Service and ConfigMap of one revision. */
export const revisionObjectName = (model: string, revision: string): string => withSuffix(model, revision);

function withSuffix(model: string, suffix: string): string {
  const room = longestLabel - suffix.length - 1;
  return `${model.slice(0, room).replace(/-+$/, '')}-${suffix}`;
}
