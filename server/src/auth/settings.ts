import { resolve } from 'node:path';
import { parseRoles, roles, type Role } from '@riskmodel/core/access/api-key.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';

/** How callers show who they are. */
const methods = ['api-key', 'oidc'] as const;
export type AuthMethod = (typeof methods)[number];

/** Who may call, and how often. */
export interface AuthSettings {
  /** `RISKMODEL_AUTH`: none (default), or `api-key`, `oidc` or both with a comma. Empty for none. */
  methods: readonly AuthMethod[];
  /** `RISKMODEL_API_KEYS_FILE`: a file of keys' hashes, or a folder of such files. There with `api-key`. */
  apiKeysFile?: string;
  /** There with `oidc`. */
  oidc?: OidcSettings;
  /** `RISKMODEL_RATE_LIMIT_ONLINE`, `RISKMODEL_RATE_LIMIT_BATCH`: POST requests of one caller; without, there is no limit. */
  limits: Partial<Record<Role, Rate>>;
}

export interface OidcSettings {
  /** `RISKMODEL_OIDC_ISSUER`; default https://accounts.google.com */
  issuer: string;
  /** `RISKMODEL_OIDC_JWKS_URI`: where the issuer publishes its keys; default Google's. */
  jwksUri: URL;
  /** `RISKMODEL_OIDC_AUDIENCE`: a token must be meant for one of them. */
  audiences: readonly string[];
  /** `RISKMODEL_OIDC_ALLOWED_EMAILS`, in lower case, with what each may do. */
  allowedEmails: ReadonlyMap<string, ReadonlySet<Role>>;
}

/** So many requests in so many seconds. */
export interface Rate {
  requests: number;
  seconds: number;
}

const google = { issuer: 'https://accounts.google.com', jwksUri: 'https://www.googleapis.com/oauth2/v3/certs' };

/** Reads who may call. Throws `InvalidConfig`, naming the variable. */
export function readAuthSettings(env: NodeJS.ProcessEnv): AuthSettings {
  const chosen = methodsOf(env);
  return {
    methods: chosen,
    ...(isChosen(env, chosen, 'api-key', 'RISKMODEL_API_KEYS_FILE') && {
      apiKeysFile: resolve(env['RISKMODEL_API_KEYS_FILE'] ?? ''),
    }),
    ...(isChosen(env, chosen, 'oidc', 'RISKMODEL_OIDC_AUDIENCE') && { oidc: oidcOf(env) }),
    limits: {
      ...limitOf(env, 'RISKMODEL_RATE_LIMIT_ONLINE', 'online'),
      ...limitOf(env, 'RISKMODEL_RATE_LIMIT_BATCH', 'batch'),
    },
  };
}

function methodsOf(env: NodeJS.ProcessEnv): AuthMethod[] {
  const named = words(env, 'RISKMODEL_AUTH');
  if (named.length === 0 || (named.length === 1 && named[0] === 'none')) return [];
  const known = methods.filter((method) => named.includes(method));
  if (known.length === new Set(named).size) return known;
  throw invalid(`RISKMODEL_AUTH: must be none, or ${methods.join(', ')} or both with a comma`);
}

/** A method's settings without the method are a mistake that would leave the server open to everybody. */
function isChosen(
  env: NodeJS.ProcessEnv,
  chosen: readonly AuthMethod[],
  method: AuthMethod,
  variable: string,
): boolean {
  const isSet = words(env, variable).length > 0;
  if (isSet === chosen.includes(method)) return isSet;
  throw invalid(
    isSet
      ? `${variable}: is set, but RISKMODEL_AUTH does not name ${method}`
      : `${variable}: must be set with ${method} in RISKMODEL_AUTH`,
  );
}

function oidcOf(env: NodeJS.ProcessEnv): OidcSettings {
  const issuer = env['RISKMODEL_OIDC_ISSUER'] || google.issuer;
  const jwksUri = env['RISKMODEL_OIDC_JWKS_URI'] || (issuer === google.issuer ? google.jwksUri : undefined);
  if (jwksUri === undefined) throw invalid('RISKMODEL_OIDC_JWKS_URI: must be set with RISKMODEL_OIDC_ISSUER');
  return {
    issuer,
    jwksUri: secureUrl('RISKMODEL_OIDC_JWKS_URI', jwksUri),
    audiences: words(env, 'RISKMODEL_OIDC_AUDIENCE'),
    allowedEmails: emailsOf(env, 'RISKMODEL_OIDC_ALLOWED_EMAILS'),
  };
}

/** Whoever can change what comes from there can let anybody in, so it comes over TLS, unless from this machine. */
function secureUrl(variable: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isLocal = url !== undefined && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal)) return url;
  throw invalid(`${variable}: must be a URL that begins with https://`);
}

/** `EMAIL` may do everything, `EMAIL=online` or `EMAIL=batch` only that. */
function emailsOf(env: NodeJS.ProcessEnv, variable: string): Map<string, ReadonlySet<Role>> {
  const emails = new Map<string, ReadonlySet<Role>>();
  for (const word of words(env, variable)) {
    const [email = '', role] = word.split('=');
    const granted = role === undefined ? roles : parseRoles(role);
    if (granted === undefined || !/^[^@\s]+@[^@\s]+$/.test(email)) {
      throw invalid(`${variable}: must be email addresses, each alone or with =${roles.join(' or =')}: not "${word}"`);
    }
    const key = email.toLowerCase();
    emails.set(key, new Set([...(emails.get(key) ?? []), ...granted]));
  }
  if (emails.size === 0) throw invalid(`${variable}: must be set with oidc in RISKMODEL_AUTH`);
  return emails;
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3_600 };
const mostRequests = 1_000_000;

function limitOf(env: NodeJS.ProcessEnv, variable: string, role: Role): Partial<Record<Role, Rate>> {
  const text = env[variable]?.trim();
  if (text === undefined || text === '') return {};
  const [, count, unit = ''] = /^([1-9]\d*)\/(s|min|h)$/.exec(text) ?? [];
  const requests = Number(count);
  const seconds = secondsOf[unit];
  if (seconds === undefined || requests > mostRequests) {
    throw invalid(
      `${variable}: must be 1 to ${mostRequests} requests in a second, minute or hour: 100/s, 60/min, 10/h`,
    );
  }
  return { [role]: { requests, seconds } };
}

function words(env: NodeJS.ProcessEnv, variable: string): string[] {
  return (env[variable] ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function invalid(message: string): RiskModelError {
  return new RiskModelError('InvalidConfig', message);
}
