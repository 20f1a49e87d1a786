import { queueName } from '@riskmodel/core/batches/queue.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { KubeObject } from '../../kube/object.ts';
import { revisionObjectName, workerName } from '../names.ts';
import { redisPrefix, type WorkloadSettings } from '../settings.ts';
import { ownedMetadata } from './owned-metadata.ts';

/** Of the CPU that a pod asks for; above it there are more pods. */
const targetUtilization = 70;
/** Jobs that wait for each worker pod; above it there are more. A chunk takes a worker about a second. */
const jobsPerWorker = 5;

/** Scales the revision that traffic goes to. */
export function makeServerAutoscaler(model: RiskModel, revision: string): KubeObject {
  const { name } = model.metadata;
  const { min, max } = model.spec.online.replicas;
  return autoscaler(model, name, revisionObjectName(name, revision), { min: Math.max(1, min), max });
}

/** Without KEDA the workers are scaled by their CPU, and never to none. */
export function makeWorkerAutoscaler(model: RiskModel): KubeObject {
  const worker = workerName(model.metadata.name);
  const { min, max } = model.spec.batch.workers;
  return autoscaler(model, worker, worker, { min: Math.max(1, min), max });
}

function autoscaler(
  model: RiskModel,
  name: string,
  deployment: string,
  { min, max }: { min: number; max: number },
): KubeObject {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: ownedMetadata(model, name),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: deployment },
      minReplicas: min,
      maxReplicas: max,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: targetUtilization } },
        },
      ],
    },
  };
}

/** https://keda.sh/docs/latest/scalers/redis-lists/ */
function kedaAddress(url: string): Record<string, string> {
  const { hostname, port, protocol, pathname } = new URL(url);
  return {
    address: `${hostname}:${port || '6379'}`,
    ...(protocol === 'rediss:' && { enableTLS: 'true' }),
    ...(/^\/\d+$/.test(pathname) && { databaseIndex: pathname.slice(1) }),
  };
}

/**
 * With KEDA the workers are scaled by the queue's length, down to none. Undefined where KEDA can't be told where Redis is:
 * it takes an address, a user and a password, not the URL that a Secret holds, and would never start the workers.
 */
export function makeWorkerScaledObject(model: RiskModel, settings: WorkloadSettings): KubeObject | undefined {
  if (!('url' in settings.redis)) return undefined;
  const worker = workerName(model.metadata.name);
  const { min, max } = model.spec.batch.workers;
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: ownedMetadata(model, worker),
    spec: {
      scaleTargetRef: { name: worker },
      minReplicaCount: min,
      maxReplicaCount: max,
      cooldownPeriod: 120,
      triggers: [
        {
          type: 'redis',
          metadata: {
            ...kedaAddress(settings.redis.url),
            // BullMQ's list of the jobs that wait.
            listName: `${redisPrefix(settings, model.metadata.namespace ?? 'default')}:${queueName(model.metadata.name)}:wait`,
            listLength: String(jobsPerWorker),
          },
        },
      ],
    },
  };
}
