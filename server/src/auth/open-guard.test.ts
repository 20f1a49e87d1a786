import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { apiKeyLine, makeApiKey } from '@riskmodel/core/access/api-key.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import type { Redis } from 'ioredis';
import { open } from '../http/routing.ts';
import { makeMetrics } from '../telemetry/metrics.ts';
import { AuditLog } from './audit-log.ts';
import { openGuard } from './open-guard.ts';
import { readAuthSettings } from './settings.ts';

const metrics = makeMetrics({ processMetrics: false });

async function openWith(env: NodeJS.ProcessEnv) {
  const lines: string[] = [];
  const logger = makeLogger('server', 'debug', { write: (line) => void lines.push(line) });
  let connections = 0;
  const { guard, close } = await openGuard(readAuthSettings(env), {
    logger,
    metrics,
    audit: new AuditLog(logger),
    connectRedis: () => {
      connections++;
      return { status: 'wait' } as Redis;
    },
    redisPrefix: 'test',
  });
  close();
  return { guard, lines, connections };
}

test('where nobody is asked and nothing is limited, a guard is nothing at all', async () => {
  const { guard, lines, connections } = await openWith({});
  expect(guard).toEqual({ online: open, batch: open, methods: [], limited: [] });
  expect({ lines, connections }).toEqual({ lines: [], connections: 0 });
});

test('a limit of predictions needs no Redis, one of batches does, and the other routes stay as they are', async () => {
  const online = await openWith({ RISKMODEL_RATE_LIMIT_ONLINE: '9/s' });
  expect(online.guard).toMatchObject({ batch: open, methods: [], limited: ['online'] });
  expect(online.guard.online).not.toBe(open);
  const batch = await openWith({ RISKMODEL_RATE_LIMIT_BATCH: '9/s' });
  expect(batch.guard).toMatchObject({ online: open, limited: ['batch'] });
  expect([online.connections, batch.connections]).toEqual([0, 1]);
});

test('methods stand before everything; how many keys there are is logged and counted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'guard-'));
  await writeFile(join(folder, 'web'), apiKeyLine('web', makeApiKey()));
  const { guard, lines } = await openWith({
    RISKMODEL_AUTH: 'oidc,api-key',
    RISKMODEL_API_KEYS_FILE: folder,
    RISKMODEL_OIDC_AUDIENCE: 'https://risk.example',
    RISKMODEL_OIDC_ALLOWED_EMAILS: 'a@b.example',
  });
  await rm(folder, { recursive: true });
  expect(guard.methods).toEqual(['api-key', 'oidc']);
  expect([guard.online, guard.batch]).not.toContain(open);
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
    expect.objectContaining({ message: 'API keys read', keys: 1 }),
  ]);
  const text = await metrics.registry.metrics();
  expect(text).toContain('riskmodel_api_keys 1');
  expect(text).toContain('riskmodel_api_keys_stale 0');
});
