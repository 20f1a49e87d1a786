import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { KubeObject } from '../../kube/object.ts';
import { labels } from '../labels.ts';
import { stableServiceName } from '../names.ts';
import { servingPort } from './make-server-deployment.ts';
import { ownedMetadata } from './owned-metadata.ts';

// What a model gets where the cluster has the API for it: Google's managed Prometheus and the Gateway API.

/** Has the metrics of the model's pods collected, those that serve and those that score batches. */
export function makePodMonitoring(model: RiskModel): KubeObject {
  return {
    apiVersion: 'monitoring.googleapis.com/v1',
    kind: 'PodMonitoring',
    metadata: ownedMetadata(model, model.metadata.name),
    spec: {
      selector: { matchLabels: { [labels.name]: 'riskmodel', [labels.model]: model.metadata.name } },
      endpoints: [{ port: 'http', path: '/metrics', interval: '30s' }],
      targetLabels: {
        fromPod: [
          { from: 'riskmodel.io/model', to: 'model' },
          { from: 'riskmodel.io/revision', to: 'revision' },
        ],
      },
    },
  };
}

/**
 * Lets the model be reached through a Gateway: the inference protocols under their own paths, which carry the model's
 * name, and every call under `/models/NAME/`.
 */
export function makeHttpRoute(model: RiskModel, gateway: { name: string; namespace: string }): KubeObject {
  const { name } = model.metadata;
  const backendRefs = [{ kind: 'Service', group: '', name: stableServiceName(name), port: 80, weight: 1 }];
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: ownedMetadata(model, model.metadata.name),
    spec: {
      parentRefs: [
        { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: gateway.name, namespace: gateway.namespace },
      ],
      rules: [
        {
          matches: [exact(`/v1/models/${name}`), exact(`/v1/models/${name}:predict`), prefix(`/v2/models/${name}`)],
          backendRefs,
        },
        {
          matches: [prefix(`/models/${name}`)],
          filters: [
            { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } },
          ],
          backendRefs,
        },
      ],
    },
  };
}

function exact(value: string): object {
  return { path: { type: 'Exact', value } };
}

function prefix(value: string): object {
  return { path: { type: 'PathPrefix', value } };
}

/** Has the load balancer ask the probe that knows whether a model is loaded. */
export function makeHealthCheckPolicy(model: RiskModel): KubeObject {
  return {
    apiVersion: 'networking.gke.io/v1',
    kind: 'HealthCheckPolicy',
    metadata: ownedMetadata(model, model.metadata.name),
    spec: {
      default: {
        checkIntervalSec: 5,
        timeoutSec: 2,
        healthyThreshold: 1,
        unhealthyThreshold: 2,
        config: { type: 'HTTP', httpHealthCheck: { port: servingPort, requestPath: '/readyz' } },
      },
      targetRef: { group: '', kind: 'Service', name: stableServiceName(model.metadata.name) },
    },
  };
}
