import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { Component } from '../labels.ts';
import { serviceAccountName } from '../names.ts';
import { backendEnv, redisPrefix, type RedisReference, type WorkloadSettings } from '../settings.ts';

type Resources = RiskModel['spec']['online']['resources'];

const manifestFolder = '/etc/riskmodel';
const dataFolder = '/var/lib/riskmodel';

/** A non-root user that owns nothing in the image. */
const unprivilegedUser = 65_532;

/**
 * How Node is called. What a request or a chunk leaves is garbage at once, and Node would gather tens of megabytes of it;
 * and a program that has started collects what that has left.
 */
export const nodeFlags = ['--max-semi-space-size=4', '--expose-gc'];

export interface PodOptions {
  model: RiskModel;
  component: Component;
  /** The program within the image. */
  program: string;
  configMapName: string;
  resources: Resources;
  defaultResources: Resources;
  env: Record<string, string>;
  container: Record<string, unknown>;
  /** Secrets to be read as files, of the model's namespace. */
  secrets?: MountedSecret[];
  terminationGracePeriodSeconds: number;
  labels: Record<string, string>;
}

export interface MountedSecret {
  volume: string;
  secretName: string;
  folder: string;
}

/** The template of a pod that runs one program of the image: no privileges, a read-only root, the manifest mounted. */
export function makePodTemplate(options: PodOptions, settings: WorkloadSettings): Record<string, unknown> {
  const { model, component, configMapName, labels, secrets = [] } = options;
  const claimName = settings.backend.kind === 'volume' ? settings.backend.claimName : undefined;
  return {
    metadata: { labels },
    spec: {
      serviceAccountName: serviceAccountName(model.metadata.name),
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: options.terminationGracePeriodSeconds,
      ...(settings.imagePullSecrets && { imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })) }),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: unprivilegedUser,
        runAsGroup: unprivilegedUser,
        fsGroup: unprivilegedUser,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: component,
          image: settings.image,
          imagePullPolicy: settings.imagePullPolicy,
          args: [...nodeFlags, options.program],
          env: makeEnv(options, settings),
          resources: options.resources ?? options.defaultResources,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          terminationMessagePolicy: 'FallbackToLogsOnError',
          volumeMounts: [
            { name: 'manifest', mountPath: manifestFolder, readOnly: true },
            ...(claimName === undefined ? [] : [{ name: 'data', mountPath: dataFolder }]),
            { name: 'tmp', mountPath: '/tmp' },
            ...secrets.map(({ volume, folder }) => ({ name: volume, mountPath: folder, readOnly: true })),
          ],
          ...options.container,
        },
      ],
      volumes: [
        { name: 'manifest', configMap: { name: configMapName } },
        ...(claimName === undefined ? [] : [{ name: 'data', persistentVolumeClaim: { claimName } }]),
        { name: 'tmp', emptyDir: {} },
        ...secrets.map(({ volume, secretName }) => ({ name: volume, secret: { secretName } })),
      ],
      topologySpreadConstraints: ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => ({
        maxSkew: 1,
        topologyKey,
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: labels },
      })),
    },
  };
}

/** A probe of the container's port `http`. */
export function probe(
  path: string,
  times: { periodSeconds: number; failureThreshold: number },
): Record<string, unknown> {
  return { httpGet: { path, port: 'http', scheme: 'HTTP' }, timeoutSeconds: 2, successThreshold: 1, ...times };
}

function makeEnv({ env, model }: PodOptions, settings: WorkloadSettings): Record<string, unknown>[] {
  const namespace = model.metadata.namespace ?? 'default';
  const plain = {
    RISKMODEL_MANIFESTS: manifestFolder,
    ...backendEnv(settings, namespace, dataFolder),
    RISKMODEL_REDIS_PREFIX: redisPrefix(settings, namespace),
    ...(settings.logLevel && { RISKMODEL_LOG_LEVEL: settings.logLevel }),
    ...env,
  };
  return [redisEnv(settings.redis), ...Object.entries(plain).map(([name, value]) => ({ name, value }))];
}

function redisEnv(redis: RedisReference): Record<string, unknown> {
  return 'url' in redis
    ? { name: 'REDIS_URL', value: redis.url }
    : { name: 'REDIS_URL', valueFrom: { secretKeyRef: { name: redis.secretName, key: redis.secretKey } } };
}
