import type { GoogleCloudSettings } from '@riskmodel/core/backend/settings.ts';
import type { LogLevel } from '@riskmodel/core/config.ts';

/** What the chart tells the operator about the pods it makes. */
export interface WorkloadSettings {
  /** The image with server and queue-worker. Part of a revision: another image is another revision. */
  image: string;
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Secrets of the model's namespace with credentials of the image's registry, by name. */
  imagePullSecrets?: string[];
  redis: RedisReference;
  /** Separates installations that share a Redis; see `redisPrefix`. */
  redisPrefix: string;
  backend: WorkloadBackend;
  /** Seconds that an ending pod goes on answering, longer than the cluster takes to send requests elsewhere. */
  drainSeconds: number;
  /** The Gateway that HTTPRoutes attach to; without it there are none. */
  gateway?: { name: string; namespace: string };
  serviceAccountAnnotations: Record<string, string>;
  /** The least that pods log; `info` without. */
  logLevel?: LogLevel;
  /** Who may call models; everybody without. */
  access?: WorkloadAccess;
}

/** How serving pods are told who may call. */
export interface WorkloadAccess {
  /** In the variables that the pods themselves read. */
  env: Record<string, string>;
  /** The Secret with the hashes of API keys, one of which is in each namespace of models. */
  apiKeysSecret?: string;
}

/** Where pods find Redis: an address without a password, or a Secret of their own namespace that has it. */
export type RedisReference = { url: string } | { secretName: string; secretKey: string };

/** Where buckets and warehouse are: on a volume that every pod mounts (its claim is in the model's namespace), or in Google Cloud. */
export type WorkloadBackend = { kind: 'volume'; claimName: string } | GoogleCloudSettings;

/** The environment that tells pods of a namespace which backend to use. `dataFolder` is where the volume is mounted. */
export function backendEnv(settings: WorkloadSettings, namespace: string, dataFolder: string): Record<string, string> {
  const { backend } = settings;
  if (backend.kind === 'volume') return { RISKMODEL_DATA: dataFolder };
  const optional = {
    GOOGLE_CLOUD_PROJECT: backend.project,
    RISKMODEL_BIGQUERY_LOCATION: backend.location,
    RISKMODEL_BIGQUERY_MAX_BYTES_BILLED: backend.maximumBytesBilled?.toString(),
    RISKMODEL_STORAGE_ENDPOINT: backend.storageEndpoint,
    RISKMODEL_BIGQUERY_ENDPOINT: backend.bigQueryEndpoint,
  };
  return {
    RISKMODEL_BACKEND: 'gcp',
    // A folder of its own for each namespace, as for each release: one may be let at its own alone.
    RISKMODEL_STAGING: `${backend.stagingUri}/${settings.redisPrefix}/${namespace}`,
    ...Object.fromEntries(
      Object.entries(optional).filter((entry): entry is [string, string] => entry[1] !== undefined),
    ),
  };
}

/** What a namespace's keys in Redis begin with: models of the same name in two namespaces have nothing in common. */
export function redisPrefix(settings: WorkloadSettings, namespace: string): string {
  return `${settings.redisPrefix}:${namespace}`;
}
