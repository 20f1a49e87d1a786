import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeContext } from './node-context.ts';
import { ServerProcess } from './server-process.ts';

/** Starts kube-proxy, which makes the addresses of Services lead to pods: with nftables of the node's own namespace. */
export async function startKubeProxy(
  program: string,
  { folder, plane, namespaces, network, nodeName }: NodeContext,
): Promise<ServerProcess> {
  const configFile = join(folder, 'kube-proxy.json');
  const kubeconfig = await plane.kubeconfigFor({ user: 'system:kube-proxy' });
  const config = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig },
    mode: 'nftables',
    hostnameOverride: nodeName,
    bindAddress: '127.0.0.1',
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    clusterCIDR: network.podCidr,
    oomScoreAdj: 0,
    // The sizes of the connection table belong to the whole machine.
    conntrack: { maxPerCore: 0, min: 0 },
    nftables: { minSyncPeriod: '100ms' },
  };
  await writeFile(configFile, JSON.stringify(config));
  const server = new ServerProcess({
    name: 'kube-proxy',
    ...namespaces.command(program, [`--config=${configFile}`]),
    logFile: join(folder, 'kube-proxy.log'),
    isReady: () => namespaces.run('nft', ['list', 'table', 'ip', 'kube-proxy']).then(() => true),
  });
  await server.start();
  return server;
}
