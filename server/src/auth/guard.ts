import type { IncomingMessage } from 'node:http';
import type { Role } from '@riskmodel/core/access/api-key.ts';
import { HttpError } from '../http/http-error.ts';
import { noteInLog } from '../http/request-context.ts';
import { open, type Access } from '../http/routing.ts';
import type { AccessOutcome } from '../telemetry/metrics.ts';
import type { ApiKeys } from './api-keys.ts';
import type { AuditLog } from './audit-log.ts';
import { anonymous, rememberCaller, type Caller, type Refusal } from './caller.ts';
import type { IdTokens } from './id-tokens.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { AuthMethod } from './settings.ts';

/** Stands before routes: each says which of the two it needs, or that it is open. */
export interface Guard {
  /** Before what predicts at once. */
  online: Access;
  /** Before what has to do with batches. */
  batch: Access;
  /** How callers show who they are; empty when nobody is asked. */
  methods: readonly AuthMethod[];
  /** Which of the two are limited. */
  limited: readonly Role[];
}

export interface GuardParts {
  apiKeys?: Pick<ApiKeys, 'authenticate'>;
  idTokens?: Pick<IdTokens, 'authenticate'>;
  limiters?: Partial<Record<Role, RateLimiter>>;
  audit: AuditLog;
  onOutcome: (role: Role, outcome: AccessOutcome) => void;
}

/** A guard that asks for what it is given the means to judge. Without any it costs nothing. */
export function makeGuard(parts: GuardParts): Guard {
  const { apiKeys, idTokens, limiters = {} } = parts;
  const asks = apiKeys !== undefined || idTokens !== undefined;
  const accessFor = (role: Role): Access =>
    asks || limiters[role] !== undefined ? guardFor(role, asks, limiters[role], parts) : open;
  return {
    online: accessFor('online'),
    batch: accessFor('batch'),
    methods: [...(apiKeys ? (['api-key'] as const) : []), ...(idTokens ? (['oidc'] as const) : [])],
    limited: (['online', 'batch'] as const).filter((role) => limiters[role] !== undefined),
  };
}

function guardFor(role: Role, asks: boolean, limiter: RateLimiter | undefined, parts: GuardParts): Access {
  const { audit, onOutcome } = parts;
  return async (request, response) => {
    const caller = asks ? await identify(request, role, parts) : anonymous;
    const turnAway = (outcome: AccessOutcome, error: HttpError): never => {
      onOutcome(role, outcome);
      if (role === 'batch' && changes(request)) audit.refused(request, caller, error.status);
      throw error;
    };
    if (!caller.roles.has(role)) turnAway('forbidden', new HttpError(403, 'Forbidden'));
    if (limiter !== undefined && request.method === 'POST') {
      const allowance = await limiter.take(`${caller.method}:${caller.name}`);
      response.setHeader('RateLimit-Policy', limiter.policy);
      response.setHeader('RateLimit', limiter.header(allowance));
      if (!allowance.isAllowed) {
        const headers = { 'Retry-After': String(allowance.resetSeconds) };
        turnAway('limited', new HttpError(429, 'Too Many Requests', { headers }));
      }
    }
    onOutcome(role, 'allowed');
    rememberCaller(request, caller);
  };
}

/** The answer is the same whatever is wrong, so that it tells nothing to who tries; the log has the reason. */
async function identify(
  request: IncomingMessage,
  role: Role,
  { apiKeys, idTokens, onOutcome }: GuardParts,
): Promise<Caller> {
  let answer: Caller | Refusal;
  try {
    answer = await judge(request, apiKeys, idTokens);
  } catch (cause) {
    onOutcome(role, 'unavailable');
    throw new HttpError(503, 'Service Unavailable', { headers: { 'Retry-After': '5' }, cause });
  }
  if (!('refused' in answer)) {
    noteInLog(request, { caller: answer.name });
    return answer;
  }
  noteInLog(request, { refused: answer.refused });
  onOutcome(role, 'unauthenticated');
  throw new HttpError(401, 'Unauthorized', { headers: { 'WWW-Authenticate': 'Bearer' } });
}

function judge(
  { headers }: IncomingMessage,
  apiKeys: GuardParts['apiKeys'],
  idTokens: GuardParts['idTokens'],
): Caller | Refusal | Promise<Caller | Refusal> {
  const apiKey = headers['x-api-key'];
  if (apiKeys !== undefined && typeof apiKey === 'string') return apiKeys.authenticate(apiKey);
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  if (token === undefined) return { refused: 'no credential' };
  const owner = apiKeys?.authenticate(token) ?? { refused: 'no API keys here' };
  return 'refused' in owner && idTokens !== undefined && isToken(token) ? idTokens.authenticate(token) : owner;
}

function isToken(text: string): boolean {
  return text.split('.').length === 3;
}

function changes({ method }: IncomingMessage): boolean {
  return method === 'POST' || method === 'DELETE';
}
