import type { Role } from '@riskmodel/core/access/api-key.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { Redis } from 'ioredis';
import type { ServerMetrics } from '../telemetry/metrics.ts';
import { ApiKeys } from './api-keys.ts';
import type { AuditLog } from './audit-log.ts';
import { makeGuard, type Guard } from './guard.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { AuthSettings } from './settings.ts';

/** What a guard is made with, beside the settings. */
export interface GuardDeps {
  logger: Logger;
  metrics: Pick<ServerMetrics, 'onAccess' | 'onApiKeysRead'>;
  audit: AuditLog;
  /** Where replicas count batches together; called when there is something to count. */
  connectRedis: () => Redis;
  redisPrefix: string;
}

/**
 * Makes the guard that the settings ask for; what they don't ask for is not even loaded.
 *
 * @returns the guard, and what ends its watching
 * @throws RiskModelError when the API keys can't be read
 */
export async function openGuard(settings: AuthSettings, deps: GuardDeps): Promise<{ guard: Guard; close: () => void }> {
  const { metrics, audit } = deps;
  const apiKeys = settings.apiKeysFile === undefined ? undefined : await openApiKeys(settings.apiKeysFile, deps);
  const guard = makeGuard({
    ...(apiKeys && { apiKeys }),
    ...(settings.oidc && { idTokens: new (await import('./id-tokens.ts')).IdTokens(settings.oidc) }),
    limiters: await openLimiters(settings, deps),
    audit,
    onOutcome: (role, outcome) => metrics.onAccess(role, outcome),
  });
  return { guard, close: () => apiKeys?.close() };
}

function openApiKeys(path: string, { logger, metrics }: GuardDeps): Promise<ApiKeys> {
  return ApiKeys.open(path, {
    onRead(result) {
      metrics.onApiKeysRead('keys' in result ? result.keys : undefined);
      if ('keys' in result) logger.info({ keys: result.keys }, 'API keys read');
      else logger.error({ err: result.error }, 'API keys not read: those known before go on being accepted');
    },
  });
}

/**
 * A replica counts online predictions for itself, because asking Redis would take longer than predicting. Batches are
 * few and dear, so replicas count them together.
 */
async function openLimiters({ limits }: AuthSettings, deps: GuardDeps): Promise<Partial<Record<Role, RateLimiter>>> {
  const { online, batch } = limits;
  if (online === undefined && batch === undefined) return {};
  const { RateLimiter } = await import('./rate-limiter.ts');
  return {
    ...(online && { online: new RateLimiter('online', online) }),
    ...(batch && {
      batch: new RateLimiter('batch', batch, { redis: deps.connectRedis(), prefix: deps.redisPrefix }),
    }),
  };
}
