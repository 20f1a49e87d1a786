import type { KubeObject } from '../kube/object.ts';
import { kindKey, type KindName, type ResourceType } from '../kube/resource-type.ts';

export const riskModels = namespaced('riskmodel.io/v1alpha1', 'RiskModel', 'riskmodels');
export const deployments = namespaced('apps/v1', 'Deployment', 'deployments');
export const services = namespaced('v1', 'Service', 'services');
export const serviceAccounts = namespaced('v1', 'ServiceAccount', 'serviceaccounts');
export const configMaps = namespaced('v1', 'ConfigMap', 'configmaps');
export const pods = namespaced('v1', 'Pod', 'pods');
export const autoscalers = namespaced('autoscaling/v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers');
export const disruptionBudgets = namespaced('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets');
export const networkPolicies = namespaced('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies');
export const scaledObjects = namespaced('keda.sh/v1alpha1', 'ScaledObject', 'scaledobjects');
export const podMonitorings = namespaced('monitoring.googleapis.com/v1', 'PodMonitoring', 'podmonitorings');
export const httpRoutes = namespaced('gateway.networking.k8s.io/v1', 'HTTPRoute', 'httproutes');
export const healthCheckPolicies = namespaced('networking.gke.io/v1', 'HealthCheckPolicy', 'healthcheckpolicies');

/** Kinds that every cluster has and that a model's objects are of. */
export const ownedTypes: readonly ResourceType[] = [
  deployments,
  services,
  serviceAccounts,
  configMaps,
  autoscalers,
  disruptionBudgets,
  networkPolicies,
];

/** Kinds that a cluster may have; a model gets objects of those that are there. */
export const optionalTypes: readonly ResourceType[] = [scaledObjects, podMonitorings, httpRoutes, healthCheckPolicies];

const byKind = new Map([...ownedTypes, ...optionalTypes].map((type) => [kindKey(type), type]));

/** The type of an object that this operator makes. */
export function typeOf(object: KubeObject | KindName): ResourceType {
  const type = byKind.get(kindKey(object));
  if (type === undefined) throw new Error(`no type is known for ${kindKey(object)}`);
  return type;
}

function namespaced(apiVersion: string, kind: string, plural: string): ResourceType {
  return { apiVersion, kind, plural, namespaced: true };
}
