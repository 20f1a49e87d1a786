import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connection } from './connection.ts';

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The kubelet renews a token when a fifth of its hour is left, so one minute old is never too old. */
const tokenMaxAgeMs = 60_000;

interface InClusterOptions {
  folder?: string;
  now?: () => number;
}

/**
 * The connection of a pod, from its service account, or undefined outside of one. A pod starts without loading
 * @kubernetes/client-node, which takes a second and 55 MB of memory for its generated classes.
 */
export async function inClusterConnection(
  env: NodeJS.ProcessEnv,
  { folder = serviceAccountFolder, now = Date.now }: InClusterOptions = {},
): Promise<Connection | undefined> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (!host || !port) return undefined;
  const readToken = async (): Promise<string> => (await readFile(join(folder, 'token'), 'utf8')).trim();
  let token = await readToken();
  let readAt = now();
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tls: { ca: await readFile(join(folder, 'ca.crt')) },
    namespace: (await readFile(join(folder, 'namespace'), 'utf8')).trim(),
    authHeaders: async () => {
      if (now() - readAt > tokenMaxAgeMs) {
        token = await readToken();
        readAt = now();
      }
      return { authorization: `Bearer ${token}` };
    },
  };
}
