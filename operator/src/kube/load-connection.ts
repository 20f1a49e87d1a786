import type { Connection } from './connection.ts';
import { inClusterConnection } from './in-cluster.ts';

/**
 * The connection this program is meant to use: the kubeconfig that is named, else that of `KUBECONFIG`, else the
 * pod's own, else `~/.kube/config`.
 */
export async function loadConnection(env: NodeJS.ProcessEnv, kubeconfigFile?: string): Promise<Connection> {
  if (kubeconfigFile === undefined && !env['KUBECONFIG']) {
    const inCluster = await inClusterConnection(env);
    if (inCluster) return inCluster;
  }
  const { kubeconfigConnection } = await import('./kubeconfig.ts');
  return kubeconfigConnection(kubeconfigFile);
}
