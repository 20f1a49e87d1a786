import { Resolver } from 'node:dns/promises';
import { join } from 'node:path';
import type { NodeContext } from './node-context.ts';
import { ServerProcess } from './server-process.ts';

/** The name servers' answers as pods get them. */
export interface ClusterDns {
  server: ServerProcess;
  resolver: Resolver;
}

/** Starts the name server of the cluster, on the node's address. */
export async function startClusterDns(
  program: string,
  { folder, plane, namespaces, network }: NodeContext,
): Promise<ClusterDns> {
  const resolver = new Resolver({ timeout: 1_000, tries: 4 });
  resolver.setServers([network.nodeAddress]);
  const kubeconfig = await plane.kubeconfigFor({ user: 'system:kube-dns', groups: ['system:masters'] });
  const server = new ServerProcess({
    name: 'cluster-dns',
    ...namespaces.command(program, [`--kubeconfig=${kubeconfig}`, `--listen=${network.nodeAddress}:53`]),
    logFile: join(folder, 'cluster-dns.log'),
    isReady: async () => (await resolver.resolve4('kubernetes.default.svc.cluster.local')).length > 0,
  });
  await server.start();
  return { server, resolver };
}
