import { join } from 'node:path';
import { ensureBinaries } from './binaries.ts';
import type { Cluster } from './cluster.ts';
import { ServerProcess } from './server-process.ts';
import { stablePort } from '@riskmodel/core/testing/stable-port.ts';

const name = 'metrics-server';
const namespace = 'kube-system';
const group = 'metrics.k8s.io';

/**
 * Starts metrics-server, which asks the kubelet what pods use and answers for the metrics API, so that autoscalers see
 * load. It is a process of this machine; it ends with this one.
 */
export async function startMetricsServer(
  { plane, folder, network, nodeName }: Cluster,
  log: (line: string) => void = () => {},
): Promise<ServerProcess> {
  const { [name]: program } = await ensureBinaries([name], log);
  const port = await stablePort(network.hostAddress);
  const kubeconfig = plane.kubeconfig;
  const flags = {
    kubeconfig,
    'authentication-kubeconfig': kubeconfig,
    'authorization-kubeconfig': kubeconfig,
    'bind-address': network.hostAddress,
    'secure-port': String(port),
    'cert-dir': join(folder, name),
    'kubelet-preferred-address-types': 'InternalIP',
    'kubelet-insecure-tls': 'true',
    'metric-resolution': '15s',
  };
  const server = new ServerProcess({
    name,
    command: program,
    args: Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
    logFile: join(folder, `${name}.log`),
    // The node's metrics come with the second look at it.
    startTimeoutMs: 120_000,
    isReady: async () => (await plane.api.send('GET', `/apis/${group}/v1beta1/nodes/${nodeName}`)).status === 200,
  });
  await plane.kubectl.run(['apply', '-f', '-'], {
    input: makeObjects(network.hostAddress, port)
      .map((object) => JSON.stringify(object))
      .join('\n---\n'),
  });
  await server.start();
  return server;
}

/** The API, and the Service that stands for the server. */
function makeObjects(address: string, port: number): object[] {
  const ports = [{ name: 'https', port: 443, targetPort: port, protocol: 'TCP' }];
  const labels = { 'kubernetes.io/service-name': name };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec: { ports } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace, labels },
      addressType: 'IPv4',
      ports: [{ name: 'https', port, protocol: 'TCP' }],
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    },
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `v1beta1.${group}` },
      spec: {
        group,
        version: 'v1beta1',
        service: { name, namespace },
        // Its certificate is made at its start and known to nobody.
        insecureSkipTLSVerify: true,
        groupPriorityMinimum: 100,
        versionPriority: 100,
      },
    },
  ];
}
