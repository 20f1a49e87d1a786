import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { controllerReference, type KubeObject } from '../../kube/object.ts';
import { labels, modelLabels, podSelector } from '../labels.ts';
import { revisionObjectName } from '../names.ts';
import { revisionManifest, revisionName } from '../revision.ts';
import type { WorkloadSettings } from '../settings.ts';
import { makePodTemplate, type MountedSecret, probe } from './pod.ts';

export const servingPort = 8080;

/**
 * Seconds in which answers close their connections, before the rest of these is closed. Services move new connections
 * only: a client that keeps one would else send a request into it at the moment of its end.
 */
const partingSeconds = 5;
/** Seconds that requests in flight get after the pod has stopped taking new ones. */
const answerSeconds = 25;

const defaultResources = { requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '512Mi' } };

/** The name of the revision that a model asks for now. */
export function desiredRevision(model: RiskModel, settings: WorkloadSettings): string {
  // Named by nothing yet, since the template carries the name.
  return revisionName(revisionManifest(model), serverPodTemplate(model, '', settings));
}

/**
 * The Deployment of one revision. How many pods it has is not said here: that belongs to the autoscaler, and to
 * whoever starts and retires revisions.
 */
export function makeServerDeployment(model: RiskModel, revision: string, settings: WorkloadSettings): KubeObject {
  const { name, namespace = 'default' } = model.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: revisionObjectName(name, revision),
      namespace,
      labels: { ...modelLabels(name), [labels.component]: 'server', [labels.revision]: revision },
      ownerReferences: [controllerReference(model as unknown as KubeObject)],
    },
    spec: {
      revisionHistoryLimit: 0,
      progressDeadlineSeconds: 600,
      minReadySeconds: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: '25%' } },
      selector: { matchLabels: podSelector(name, 'server', revision) },
      template: serverPodTemplate(model, revision, settings),
    },
  };
}

function serverPodTemplate(model: RiskModel, revision: string, settings: WorkloadSettings): Record<string, unknown> {
  const { name } = model.metadata;
  return makePodTemplate(
    {
      model,
      component: 'server',
      program: 'server/src/main.js',
      configMapName: revisionObjectName(name, revision),
      resources: model.spec.online.resources,
      defaultResources,
      env: {
        PORT: String(servingPort),
        RISKMODEL_REVISION: revision,
        RISKMODEL_DRAIN_DELAY: String(partingSeconds),
        RISKMODEL_SHUTDOWN_GRACE: String(answerSeconds),
        ...accessEnv(settings),
      },
      secrets: accessSecrets(settings),
      container: {
        ports: [{ name: 'http', containerPort: servingPort, protocol: 'TCP' }],
        startupProbe: probe('/readyz', { periodSeconds: 2, failureThreshold: 150 }),
        readinessProbe: probe('/readyz', { periodSeconds: 2, failureThreshold: 2 }),
        livenessProbe: probe('/livez', { periodSeconds: 10, failureThreshold: 3 }),
        // The pod goes on answering until every node has heard that it is going.
        lifecycle: { preStop: { sleep: { seconds: settings.drainSeconds } } },
      },
      terminationGracePeriodSeconds: settings.drainSeconds + partingSeconds + answerSeconds + 5,
      labels: podSelector(name, 'server', revision),
    },
    settings,
  );
}

const apiKeysFolder = '/etc/riskmodel-api-keys';

function accessEnv({ access }: WorkloadSettings): Record<string, string> {
  return { ...access?.env, ...(access?.apiKeysSecret && { RISKMODEL_API_KEYS_FILE: apiKeysFolder }) };
}

/** Read as files, since these change in a running pod when the Secret does; variables don't. */
function accessSecrets({ access }: WorkloadSettings): MountedSecret[] {
  if (access?.apiKeysSecret === undefined) return [];
  return [{ volume: 'api-keys', secretName: access.apiKeysSecret, folder: apiKeysFolder }];
}
