import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { Connection } from './connection.ts';

/**
 * The connection that kubeconfig files describe, in kubectl's order: the given file, `KUBECONFIG`, `~/.kube/config`.
 * Exec plugins, OIDC and token files are @kubernetes/client-node's.
 * @throws Error when there is no file, or its current context names no cluster.
 */
export async function kubeconfigConnection(file?: string): Promise<Connection> {
  const config = new KubeConfig();
  if (file === undefined) config.loadFromDefault();
  else config.loadFromFile(file);
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`The kubeconfig's current context "${config.getCurrentContext()}" names no cluster`);
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  const options = await requestOptions(config);
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
  return {
    server: cluster.server,
    tls: definedOnly({ ca, cert, key, pfx, passphrase, servername, rejectUnauthorized }),
    authHeaders: credentialsChange(config)
      ? async () => authHeaders(await requestOptions(config))
      : () => Promise.resolve(authHeaders(options)),
    ...definedOnly({ proxyUrl: cluster.proxyUrl, namespace }),
  };
}

type Options = RequestOptions & { auth?: string | null };

async function requestOptions(config: KubeConfig): Promise<Options> {
  const options: Options = {};
  await config.applyToHTTPSOptions(options);
  return options;
}

/** Whether a program or a file renews the user's token; what else there is stays as it was read. */
function credentialsChange(config: KubeConfig): boolean {
  const user = config.getCurrentUser();
  return user?.exec !== undefined || user?.authProvider !== undefined;
}

function authHeaders({ headers = {}, auth }: Options): Record<string, string> {
  const all = Object.entries(headers).map(([name, value]): [string, string] => [name.toLowerCase(), String(value)]);
  if (auth) all.push(['authorization', `Basic ${Buffer.from(auth).toString('base64')}`]);
  return Object.fromEntries(all);
}

function definedOnly<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const defined = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(defined) as { [K in keyof T]?: NonNullable<T[K]> };
}
