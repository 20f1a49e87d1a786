import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Connection } from './connection.ts';
import { inClusterConnection } from './in-cluster.ts';

const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };

let folder: string;
let now: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'service-account-'));
  now = 0;
  await Promise.all([
    writeFile(join(folder, 'token'), 'first\n'),
    writeFile(join(folder, 'ca.crt'), 'the CA'),
    writeFile(join(folder, 'namespace'), 'risk'),
  ]);
});
afterEach(() => rm(folder, { recursive: true }));

async function connect(environment: NodeJS.ProcessEnv = env): Promise<Connection | undefined> {
  return inClusterConnection(environment, { folder, now: () => now });
}

describe('the connection of a pod', () => {
  test('is that of its service account', async () => {
    const connection = await connect();
    expect(connection).toMatchObject({ server: 'https://10.0.0.1:443', namespace: 'risk' });
    expect(String(connection?.tls.ca)).toBe('the CA');
    expect(await connection?.authHeaders()).toEqual({ authorization: 'Bearer first' });
  });

  test('brackets an IPv6 address', async () => {
    expect(await connect({ ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' })).toMatchObject({
      server: 'https://[fd00::1]:443',
    });
  });

  test('reads its token anew when it is a minute old, since the kubelet renews it', async () => {
    const connection = await connect();
    await writeFile(join(folder, 'token'), 'second');
    now = 60_000;
    expect(await connection?.authHeaders()).toEqual({ authorization: 'Bearer first' });
    now = 60_001;
    expect(await connection?.authHeaders()).toEqual({ authorization: 'Bearer second' });
  });

  test('is none outside of a cluster', async () => {
    expect(await connect({})).toBeUndefined();
  });
});
