import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { KubeObject, ObjectMeta } from '../../kube/object.ts';
import { labels, podSelector, type Component } from '../labels.ts';
import { revisionObjectName, serviceAccountName, stableServiceName, workerName } from '../names.ts';
import { revisionManifest } from '../revision.ts';
import type { WorkloadSettings } from '../settings.ts';
import { servingPort } from './make-server-deployment.ts';
import { workerPort } from './make-worker-deployment.ts';
import { ownedMetadata } from './owned-metadata.ts';

/** The identity of the model's pods; its annotations tie it to one of the cloud's (Workload Identity). */
export function makeServiceAccount(model: RiskModel, settings: WorkloadSettings): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: {
      ...ownedMetadata(model, serviceAccountName(model.metadata.name)),
      annotations: settings.serviceAccountAnnotations,
    },
    automountServiceAccountToken: false,
  };
}

/** What a revision's pods read. Nobody can change it: another manifest is another revision. */
export function makeRevisionConfigMap(model: RiskModel, revision: string): KubeObject {
  const { name } = model.metadata;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: ownedMetadata(model, revisionObjectName(name, revision), { [labels.revision]: revision }),
    immutable: true,
    data: { 'riskmodel.json': JSON.stringify(revisionManifest(model), undefined, 2) },
  };
}

/** What the batch workers read. */
export function makeWorkerConfigMap(model: RiskModel): KubeObject {
  const manifest = revisionManifest(model);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: ownedMetadata(model, workerName(model.metadata.name)),
    data: {
      'riskmodel.json': JSON.stringify(
        { ...manifest, spec: { ...manifest.spec, batch: model.spec.batch } },
        undefined,
        2,
      ),
    },
  };
}

/** The address of one revision, to try it without sending traffic to it. */
export function makeRevisionService(model: RiskModel, revision: string): KubeObject {
  const { name } = model.metadata;
  return service(
    model,
    ownedMetadata(model, revisionObjectName(name, revision), { [labels.revision]: revision }),
    revision,
  );
}

/** The address that clients use; `revision` is the one that traffic goes to. */
export function makeStableService(model: RiskModel, revision: string): KubeObject {
  return service(model, ownedMetadata(model, stableServiceName(model.metadata.name)), revision);
}

function service(model: RiskModel, metadata: ObjectMeta, revision: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      type: 'ClusterIP',
      selector: podSelector(model.metadata.name, 'server', revision),
      ports: [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP', appProtocol: 'http' }],
    },
  };
}

/** A node that is emptied takes one serving pod at a time. */
export function makeDisruptionBudget(model: RiskModel): KubeObject {
  const { name } = model.metadata;
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: ownedMetadata(model, name),
    spec: { maxUnavailable: 1, selector: { matchLabels: podSelector(name, 'server') } },
  };
}

/** Pods take requests on their one port: serving pods anybody's, workers those of probes and scrapes. */
export function makeNetworkPolicy(model: RiskModel, component: Component): KubeObject {
  const { name } = model.metadata;
  const isServer = component === 'server';
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: ownedMetadata(model, isServer ? name : workerName(name)),
    spec: {
      podSelector: { matchLabels: podSelector(name, component) },
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ port: isServer ? servingPort : workerPort, protocol: 'TCP' }] }],
    },
  };
}
