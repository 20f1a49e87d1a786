import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { controllerReference, type KubeObject } from '../../kube/object.ts';
import { labels, modelLabels, podSelector } from '../labels.ts';
import { workerName } from '../names.ts';
import type { WorkloadSettings } from '../settings.ts';
import { makePodTemplate, probe } from './pod.ts';

/** Probes and metrics. */
export const workerPort = 8081;

/** A chunk takes about a second; a plan of a large text file longer. What is cut off is done again by another worker. */
const finishSeconds = 60;

const defaultResources = { requests: { cpu: '1', memory: '768Mi' }, limits: { memory: '1536Mi' } };

/**
 * The Deployment of the batch workers. A batch carries the manifest it was planned with, so these pods can be replaced
 * one by one in the middle of it. How many there are is the autoscaler's to say.
 */
export function makeWorkerDeployment(model: RiskModel, settings: WorkloadSettings): KubeObject {
  const { name, namespace = 'default' } = model.metadata;
  const selector = podSelector(name, 'queue-worker');
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: workerName(name),
      namespace,
      labels: { ...modelLabels(name), [labels.component]: 'queue-worker' },
      ownerReferences: [controllerReference(model as unknown as KubeObject)],
    },
    spec: {
      revisionHistoryLimit: 1,
      selector: { matchLabels: selector },
      template: makePodTemplate(
        {
          model,
          component: 'queue-worker',
          program: 'queue-worker/src/main.js',
          configMapName: workerName(name),
          resources: model.spec.batch.resources,
          defaultResources,
          // Schedules are the operator's to set: a pod that starts may have an old manifest.
          env: { RISKMODEL_SCHEDULES: 'operator', RISKMODEL_WORKER_PORT: String(workerPort) },
          container: {
            ports: [{ name: 'http', containerPort: workerPort, protocol: 'TCP' }],
            startupProbe: probe('/readyz', { periodSeconds: 2, failureThreshold: 150 }),
            readinessProbe: probe('/readyz', { periodSeconds: 10, failureThreshold: 3 }),
            livenessProbe: probe('/livez', { periodSeconds: 10, failureThreshold: 6 }),
          },
          terminationGracePeriodSeconds: finishSeconds,
          labels: selector,
        },
        settings,
      ),
    },
  };
}
