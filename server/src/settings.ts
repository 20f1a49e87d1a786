import { readBackendSettings, type BackendSettings } from '@riskmodel/core/backend/settings.ts';
import { integerSetting, readConfig, type Config } from '@riskmodel/core/config.ts';
import { readAuthSettings, type AuthSettings } from './auth/settings.ts';

/** What the server is told by environment variables, beside what every program is. */
export interface ServerSettings extends Config {
  backend: BackendSettings;
  /** `PORT`, default 8080; 0 is any free one. */
  port: number;
  /** `HOST`, the address to listen at; default 0.0.0.0 */
  host: string;
  /** `RISKMODEL_DEFAULT_MODEL`: the model of the endpoints that name none, needed when several are served. */
  defaultModel: string | undefined;
  /** `RISKMODEL_BODY_LIMIT`: bytes of a request's body at most; default 16 MiB. */
  bodyLimit: number;
  /**
   * `RISKMODEL_DRAIN_DELAY`: seconds between readiness going false and the end of listening, default 0. A load balancer
   * needs a few until it sends no more requests here.
   */
  drainDelay: number;
  /** `RISKMODEL_SHUTDOWN_GRACE`: seconds that requests in flight have after that, default 25. */
  shutdownGrace: number;
  /** Who may call, and how often. */
  auth: AuthSettings;
  /** `RISKMODEL_REVISION`: in a cluster, the revision that this pod is of. */
  revision: string | undefined;
  /** `GOOGLE_CLOUD_PROJECT`: the project that traces in the logs belong to. */
  project: string | undefined;
}

/** Reads the settings once, at the start. Throws `InvalidConfig`, naming the variable. */
export function readSettings(env: NodeJS.ProcessEnv): ServerSettings {
  return {
    ...readConfig(env),
    backend: readBackendSettings(env),
    port: integerSetting(env, 'PORT', { fallback: 8_080, min: 0, max: 65_535 }),
    host: env['HOST'] || '0.0.0.0',
    defaultModel: env['RISKMODEL_DEFAULT_MODEL'] || undefined,
    bodyLimit: integerSetting(env, 'RISKMODEL_BODY_LIMIT', { fallback: 16 << 20, min: 1_024, max: 1 << 30 }),
    drainDelay: integerSetting(env, 'RISKMODEL_DRAIN_DELAY', { fallback: 0, min: 0, max: 3_600 }),
    shutdownGrace: integerSetting(env, 'RISKMODEL_SHUTDOWN_GRACE', { fallback: 25, min: 1, max: 3_600 }),
    auth: readAuthSettings(env),
    revision: env['RISKMODEL_REVISION'] || undefined,
    project: env['GOOGLE_CLOUD_PROJECT'] || undefined,
  };
}
