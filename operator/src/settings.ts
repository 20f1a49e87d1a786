import { readBackendSettings } from '@riskmodel/core/backend/settings.ts';
import { integerSetting, logLevels, oneOf, required, type LogLevel } from '@riskmodel/core/config.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { AdmissionSettings } from './admission/settings.ts';
import { readTriggerSettings, type TriggerSettings } from './triggers/settings.ts';
import type { RedisReference, WorkloadBackend, WorkloadSettings } from './riskmodel/settings.ts';

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
  /** Batches that buckets' notifications start; none when absent. */
  triggers?: TriggerSettings;
}

/** Throws `InvalidConfig`, naming the variable. */
export function readSettings(env: NodeJS.ProcessEnv): OperatorSettings {
  const redisUrl = required(env, 'REDIS_URL');
  return {
    namespace: env['WATCH_NAMESPACE'] || undefined,
    ownNamespace: required(env, 'POD_NAMESPACE'),
    identity: required(env, 'POD_NAME'),
    redisUrl,
    logLevel: oneOf(env, 'RISKMODEL_LOG_LEVEL', logLevels, 'info'),
    port: integerSetting(env, 'RISKMODEL_PORT', { fallback: 8081, min: 0, max: 65_535 }),
    resyncSeconds: integerSetting(env, 'RISKMODEL_RESYNC_SECONDS', { fallback: 36_000, min: 10, max: 604_800 }),
    workloads: {
      image: required(env, 'RISKMODEL_IMAGE'),
      imagePullPolicy: pullPolicy(env),
      ...pullSecrets(env),
      redis: redisReference(env, redisUrl),
      redisPrefix: env['RISKMODEL_REDIS_PREFIX'] || 'riskmodel',
      backend: workloadBackend(env),
      drainSeconds: integerSetting(env, 'RISKMODEL_DRAIN_SECONDS', { fallback: 15, min: 1, max: 600 }),
      ...gateway(env),
      serviceAccountAnnotations: textMap(env, 'RISKMODEL_SERVICE_ACCOUNT_ANNOTATIONS'),
      ...modelLogLevel(env),
      ...access(env),
    },
    ...admission(env),
    ...triggers(env),
  };
}

/** Said to pods only where it is another than their own `info`, so that nobody's pods are made anew for it. */
function modelLogLevel(env: NodeJS.ProcessEnv): Pick<WorkloadSettings, 'logLevel'> {
  const logLevel = oneOf(env, 'RISKMODEL_MODELS_LOG_LEVEL', logLevels, 'info');
  return logLevel === 'info' ? {} : { logLevel };
}

function triggers(env: NodeJS.ProcessEnv): Pick<OperatorSettings, 'triggers'> {
  const settings = readTriggerSettings(env);
  return settings === undefined ? {} : { triggers: settings };
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

/** What serving pods are told in the same words. */
const accessVariables = [
  'RISKMODEL_AUTH',
  'RISKMODEL_OIDC_ISSUER',
  'RISKMODEL_OIDC_JWKS_URI',
  'RISKMODEL_OIDC_AUDIENCE',
  'RISKMODEL_OIDC_ALLOWED_EMAILS',
  'RISKMODEL_RATE_LIMIT_ONLINE',
  'RISKMODEL_RATE_LIMIT_BATCH',
];

function access(env: NodeJS.ProcessEnv): Pick<WorkloadSettings, 'access'> {
  const given = Object.fromEntries(accessVariables.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
  const apiKeysSecret = env['RISKMODEL_API_KEYS_SECRET'];
  if (Object.keys(given).length === 0 && !apiKeysSecret) return {};
  return { access: { env: given, ...(apiKeysSecret && { apiKeysSecret }) } };
}

/** A volume where the chart names its claim; else Google Cloud, in the variables that the pods themselves read. */
function workloadBackend(env: NodeJS.ProcessEnv): WorkloadBackend {
  const claimName = env['RISKMODEL_STORAGE_CLAIM'];
  if (claimName) return { kind: 'volume', claimName };
  const backend = readBackendSettings(env);
  if (backend.kind === 'gcp') return backend;
  throw new RiskModelError(
    'InvalidConfig',
    'RISKMODEL_STORAGE_CLAIM: is not set; name a volume claim, or set RISKMODEL_BACKEND=gcp',
  );
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

/** Names, separated by commas. */
function pullSecrets(env: NodeJS.ProcessEnv): Pick<WorkloadSettings, 'imagePullSecrets'> {
  const names = (env['RISKMODEL_IMAGE_PULL_SECRETS'] ?? '').split(',').filter((name) => name !== '');
  const wrong = names.find((name) => !/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name));
  if (wrong !== undefined) {
    throw new RiskModelError('InvalidConfig', `RISKMODEL_IMAGE_PULL_SECRETS: no Secret can have the name "${wrong}"`);
  }
  return names.length === 0 ? {} : { imagePullSecrets: names };
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
