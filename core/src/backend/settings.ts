import { resolve } from 'node:path';
import { integerSetting, oneOf, required } from '../config.ts';
import { RiskModelError } from '../errors.ts';

/** Where objects and tables are: on this machine, or in Google Cloud. */
export type BackendSettings = LocalSettings | GoogleCloudSettings;

export interface LocalSettings {
  kind: 'local';
  /** The folder with `buckets/` and `warehouse/` (`RISKMODEL_DATA`). */
  dataDir: string;
}

export interface GoogleCloudSettings {
  kind: 'gcp';
  /** `RISKMODEL_STAGING`: where batches are staged, `gs://BUCKET` or a folder in one, without a slash at its end. */
  stagingUri: string;
  /** `GOOGLE_CLOUD_PROJECT`: the project of the datasets and of the jobs; absent: that of the credentials. */
  project?: string;
  /** `RISKMODEL_BIGQUERY_LOCATION`: the datasets' location, such as EU; absent: BigQuery's default. */
  location?: string;
  /** `RISKMODEL_BIGQUERY_MAX_BYTES_BILLED`: bytes that one query may bill at most; absent: the project's limit. */
  maximumBytesBilled?: number;
  /** `RISKMODEL_STORAGE_ENDPOINT`, `RISKMODEL_BIGQUERY_ENDPOINT`: other servers than Google's; over http, without credentials. */
  storageEndpoint?: string;
  bigQueryEndpoint?: string;
}

/** Reads which backend to use (`RISKMODEL_BACKEND`: `local`, the default, or `gcp`). Throws `InvalidConfig`. */
export function readBackendSettings(env: NodeJS.ProcessEnv): BackendSettings {
  const kind = oneOf(env, 'RISKMODEL_BACKEND', ['local', 'gcp'], 'local');
  if (kind === 'local') return { kind, dataDir: resolve(required(env, 'RISKMODEL_DATA')) };
  const maximumBytesBilled = integerSetting(env, 'RISKMODEL_BIGQUERY_MAX_BYTES_BILLED', {
    fallback: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
  });
  const optional = {
    project: env['GOOGLE_CLOUD_PROJECT'],
    location: env['RISKMODEL_BIGQUERY_LOCATION'],
    storageEndpoint: endpoint(env, 'RISKMODEL_STORAGE_ENDPOINT'),
    bigQueryEndpoint: endpoint(env, 'RISKMODEL_BIGQUERY_ENDPOINT'),
  };
  return {
    kind,
    stagingUri: stagingUri(env),
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value)),
    ...(maximumBytesBilled > 0 && { maximumBytesBilled }),
  };
}

function stagingUri(env: NodeJS.ProcessEnv): string {
  const uri = required(env, 'RISKMODEL_STAGING').replace(/\/+$/, '');
  if (/^gs:\/\/[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](\/[^/].*)?$/.test(uri)) return uri;
  throw new RiskModelError('InvalidConfig', 'RISKMODEL_STAGING: must be gs://BUCKET or gs://BUCKET/FOLDER');
}

function endpoint(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name];
  if (!value || /^https?:\/\/[^/]+$/.test(value)) return value;
  throw new RiskModelError('InvalidConfig', `${name}: must be an address such as http://127.0.0.1:4443`);
}
