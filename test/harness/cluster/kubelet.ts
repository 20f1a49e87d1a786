import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';
import type { NodeContext } from './node-context.ts';
import { ServerProcess } from './server-process.ts';

export interface KubeletOptions extends NodeContext {
  program: string;
  /** The container runtime's socket. */
  socket: string;
  /** The control group that containers are put under. */
  cgroup: string;
  maxPods: number;
}

/** Starts the kubelet and waits until the node is Ready. */
export async function startKubelet(options: KubeletOptions): Promise<ServerProcess> {
  const { program, plane, namespaces, network, nodeName, folder } = options;
  const home = join(folder, 'kubelet');
  await mkdir(home);
  const [server, kubeconfig] = await Promise.all([
    plane.ca.issueServer('kubelet', [nodeName, network.nodeAddress]),
    plane.kubeconfigFor({ user: `system:node:${nodeName}`, groups: ['system:nodes'] }),
  ]);
  const configFile = join(home, 'config.json');
  const config = makeConfig(options, home, {
    tlsCertFile: server.certFile,
    tlsPrivateKeyFile: server.keyFile,
  });
  await writeFile(configFile, JSON.stringify(config));
  const kubelet = new ServerProcess({
    name: 'kubelet',
    ...namespaces.command(program, [
      `--config=${configFile}`,
      `--kubeconfig=${kubeconfig}`,
      `--root-dir=${home}/root`,
      `--cert-dir=${home}/pki`,
      `--hostname-override=${nodeName}`,
      `--node-ip=${network.nodeAddress}`,
    ]),
    logFile: join(folder, 'kubelet.log'),
    isReady: () => isNodeReady(plane, nodeName),
    startTimeoutMs: 120_000,
  });
  await kubelet.start();
  return kubelet;
}

async function isNodeReady(plane: ControlPlane, nodeName: string): Promise<boolean> {
  const { status } = await plane.api.call<{ status: { conditions?: { type: string; status: string }[] } }>(
    'GET',
    `/api/v1/nodes/${nodeName}`,
  );
  return status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

function makeConfig(
  { plane, network, socket, cgroup, maxPods }: KubeletOptions,
  home: string,
  own: Record<string, unknown>,
): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    ...own,
    address: network.nodeAddress,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: plane.ca.certFile },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${socket}`,
    volumePluginDir: join(home, 'volume-plugins'),
    clusterDomain: 'cluster.local',
    clusterDNS: [network.nodeAddress],
    // The machine's own name servers are of no use to pods, which reach nothing outside.
    resolvConf: '',
    maxPods,
    // Control groups: works with either version, and with no systemd. Limits of containers hold; what the kubelet would
    // set for classes of pods and for the node as a whole needs rights over the machine that a test should not want.
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    oomScoreAdj: 0,
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    // How full the machine is must not decide whether a test passes.
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
    },
    imageGCHighThresholdPercent: 100,
    // The kubelet waits for changes and need not ask often; but it reports soon.
    nodeStatusUpdateFrequency: '5s',
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 100,
    kubeAPIBurst: 200,
  };
}
