import { integerSetting, logLevels, type LogLevel } from '@riskmodel/core/config.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { AdmissionSettings } from './admission/settings.ts';
import type { RedisReference, WorkloadSettings } from './riskmodel/settings.ts';

/** What the chart tells the operator, by environment variables. */
export interface OperatorSettings {
  /** The namespace that is watched (`WATCH_NAMESPACE`); all of them when empty. */
  namespace: string | undefined;
  /** Where the operator itself runs (`POD_NAMESPACE`), and with it the lease. */
  ownNamespace: string;
  /** This replica's name (`POD_NAME`). */
  identity: string;
  /** Redis as the operator reaches it (`REDIS_URL`). */
  redisUrl: string;
  logLevel: LogLevel;
  /** Probes and metrics (`RISKMODEL_PORT`). */
  port: number;
  /** Seconds after which every model is looked at though nothing changed (`RISKMODEL_RESYNC_SECONDS`). */
  resyncSeconds: number;
  workloads: WorkloadSettings;
  /** The validating webhook; none when absent. */
  admission?: AdmissionSettings;
}

/** Throws `InvalidConfig`, naming the variable. */
export function readSettings(env: NodeJS.ProcessEnv): OperatorSettings {
  const redisUrl = required(env, 'REDIS_URL');
  return {
    namespace: env['WATCH_NAMESPACE'] || undefined,
    ownNamespace: required(env, 'POD_NAMESPACE'),
    identity: required(env, 'POD_NAME'),
    redisUrl,
    logLevel: logLevels.find((level) => level === env['RISKMODEL_LOG_LEVEL']) ?? 'info',
    port: integerSetting(env, 'RISKMODEL_PORT', { fallback: 8081, min: 0, max: 65_535 }),
    resyncSeconds: integerSetting(env, 'RISKMODEL_RESYNC_SECONDS', { fallback: 36_000, min: 10, max: 604_800 }),
    workloads: {
      image: required(env, 'RISKMODEL_IMAGE'),
      imagePullPolicy: pullPolicy(env),
      redis: redisReference(env, redisUrl),
      redisPrefix: env['RISKMODEL_REDIS_PREFIX'] || 'riskmodel',
      storage: { claimName: required(env, 'RISKMODEL_STORAGE_CLAIM') },
      drainSeconds: integerSetting(env, 'RISKMODEL_DRAIN_SECONDS', { fallback: 15, min: 1, max: 600 }),
      ...gateway(env),
      serviceAccountAnnotations: textMap(env, 'RISKMODEL_SERVICE_ACCOUNT_ANNOTATIONS'),
    },
    ...admission(env),
  };
}

/** There is a webhook where a port is given for it. */
function admission(env: NodeJS.ProcessEnv): Pick<OperatorSettings, 'admission'> {
  if (!env['RISKMODEL_WEBHOOK_PORT']) return {};
  const port = integerSetting(env, 'RISKMODEL_WEBHOOK_PORT', { fallback: 9443, min: 0, max: 65_535 });
  const folder = env['RISKMODEL_WEBHOOK_CERTIFICATE_FOLDER'];
  if (folder) return { admission: { port, certificate: { folder } } };
  const namespace = required(env, 'POD_NAMESPACE');
  const certificate = {
    host: `${required(env, 'RISKMODEL_WEBHOOK_SERVICE')}.${namespace}.svc`,
    secret: { namespace, name: required(env, 'RISKMODEL_WEBHOOK_SECRET') },
    configuration: required(env, 'RISKMODEL_WEBHOOK_CONFIGURATION'),
  };
  return { admission: { port, certificate } };
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value === undefined || value === '') throw new RiskModelError('InvalidConfig', `${name} is not set`);
  return value;
}

function pullPolicy(env: NodeJS.ProcessEnv): WorkloadSettings['imagePullPolicy'] {
  const policies = ['IfNotPresent', 'Always', 'Never'] as const;
  const value = env['RISKMODEL_IMAGE_PULL_POLICY'] || policies[0];
  const policy = policies.find((candidate) => candidate === value);
  if (policy === undefined) {
    throw new RiskModelError('InvalidConfig', `RISKMODEL_IMAGE_PULL_POLICY: must be one of ${policies.join(', ')}`);
  }
  return policy;
}

/** Pods get the address itself only when it holds no password; a password stays in a Secret. */
function redisReference(env: NodeJS.ProcessEnv, redisUrl: string): RedisReference {
  const secretName = env['RISKMODEL_REDIS_SECRET_NAME'];
  if (secretName) return { secretName, secretKey: env['RISKMODEL_REDIS_SECRET_KEY'] || 'url' };
  const url = env['RISKMODEL_REDIS_URL'] || redisUrl;
  if (URL.canParse(url) && new URL(url).password !== '') {
    throw new RiskModelError(
      'InvalidConfig',
      'RISKMODEL_REDIS_URL: holds a password, which would be readable in every pod: put it into a Secret and name that in RISKMODEL_REDIS_SECRET_NAME',
    );
  }
  return { url };
}

function gateway(env: NodeJS.ProcessEnv): Pick<WorkloadSettings, 'gateway'> {
  const name = env['RISKMODEL_GATEWAY_NAME'];
  if (!name) return {};
  return { gateway: { name, namespace: env['RISKMODEL_GATEWAY_NAMESPACE'] || required(env, 'POD_NAMESPACE') } };
}

function textMap(env: NodeJS.ProcessEnv, name: string): Record<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(env[name] || '{}');
  } catch {
    value = undefined;
  }
  const isMap =
    typeof value === 'object' && value !== null && Object.values(value).every((text) => typeof text === 'string');
  if (!isMap) throw new RiskModelError('InvalidConfig', `${name}: must be a JSON object of texts`);
  return value as Record<string, string>;
}
