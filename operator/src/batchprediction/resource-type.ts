import type { ResourceType } from '../kube/resource-type.ts';

export const batchPredictions: ResourceType = {
  apiVersion: 'riskmodel.io/v1alpha1',
  kind: 'BatchPrediction',
  plural: 'batchpredictions',
  namespaced: true,
};
