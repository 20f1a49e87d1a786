import { KubeClient } from '../../operator/src/kube/client.ts';
import { kubeconfigConnection } from '../../operator/src/kube/kubeconfig.ts';
import type { KubeObject } from '../../operator/src/kube/object.ts';
import type { ResourceType } from '../../operator/src/kube/resource-type.ts';
import type { TransportOptions } from '../../operator/src/kube/transport.ts';
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from '../harness/cluster/control-plane.ts';

/** The first run builds Kubernetes. */
export const buildTimeoutMs = 90 * 60_000;

export const configMapType: ResourceType = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
};

export async function startPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  return startControlPlane({ log: (line) => process.stderr.write(`  ${line}\n`), ...options });
}

/** The operator's client, as an administrator; through another port of this machine when one is given. */
export async function clientOf(
  { kubeconfig }: ControlPlane,
  { port, ...options }: Partial<TransportOptions> & { port?: number } = {},
): Promise<KubeClient> {
  const connection = await kubeconfigConnection(kubeconfig);
  const server = port === undefined ? connection.server : `https://127.0.0.1:${port}`;
  return new KubeClient({ connection: { ...connection, server }, ...options });
}

export function makeConfigMap(name: string, data: Record<string, string> = {}, namespace = 'default'): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
}

/** Calls `work` for each item, so many at a time. */
export async function inParallel<T>(
  items: readonly T[],
  atATime: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = items[Symbol.iterator]();
  const workers = Array.from({ length: atATime }, async () => {
    for (const item of queue) await work(item);
  });
  await Promise.all(workers);
}
