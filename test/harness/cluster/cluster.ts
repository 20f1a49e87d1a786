import type { Resolver } from 'node:dns/promises';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ensureBinaries } from './binaries.ts';
import { makeCgroups, removeCgroups, weighCgroups } from './cgroups.ts';
import { startClusterDns } from './cluster-dns.ts';
import { startContainerd, type Containerd } from './containerd.ts';
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from './control-plane.ts';
import { ensureHostPrograms } from './host-programs.ts';
import { buildPauseImage } from './images.ts';
import { startKubeProxy } from './kube-proxy.ts';
import { startKubelet } from './kubelet.ts';
import type { NodeContext } from './node-context.ts';
import { NodeNamespaces } from './node-namespaces.ts';
import { connectNode, disconnectNode, type NodeNetwork } from './node-network.ts';
import { whyNoNode } from './node-requirements.ts';
import { makeRunFolder, removeAbandonedRuns } from './run-folder.ts';

export interface ClusterOptions extends Omit<
  ControlPlaneOptions,
  'address' | 'serviceCidr' | 'controllerManager' | 'scheduler'
> {
  maxPods?: number;
}

/** A Kubernetes of one node that runs real containers. */
export interface Cluster {
  readonly plane: ControlPlane;
  /** The node's programs keep their state and logs here; the control plane has a folder of its own. */
  readonly folder: string;
  readonly nodeName: string;
  /** The addresses in it. This process reaches pods and Services at theirs; pods reach this machine at `hostAddress`. */
  readonly network: NodeNetwork;
  /** Asks the cluster's name server, as pods do, but with whole names: `NAME.NAMESPACE.svc.cluster.local`. */
  readonly resolver: Resolver;
  /** How long it took from nothing to a node that is ready, without builds. */
  readonly startMs: number;
  /** Makes the images of a docker-archive file known to the node: pods use them with `imagePullPolicy: Never`. */
  loadImage(file: string): Promise<void>;
  /** Ends all of it and removes what it made. */
  stop(): Promise<void>;
}

const nodeName = 'node-1';

/**
 * Starts a control plane and a node in namespaces of its own. All of it ends with this process however that ends.
 * @throws Error that says what this machine lacks, in one line
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { log = () => {}, maxPods = 110 } = options;
  const obstacle = await whyNoNode();
  if (obstacle !== undefined) throw new Error(obstacle);
  await ensureHostPrograms(log);
  const programs = await ensureBinaries(
    ['kubelet', 'kube-proxy', 'cluster-dns', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'],
    log,
  );
  await removeAbandonedRuns();
  const folder = await makeRunFolder();
  const undo: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const pauseFile = join(folder, 'pause.tar');
    await buildPauseImage(pauseFile, log);
    const startedAt = performance.now();
    const cgroup = basename(folder);
    await makeCgroups(cgroup);
    undo.push(() => removeCgroups(cgroup));
    const namespaces = await NodeNamespaces.create(folder);
    undo.push(() => namespaces.end());
    const network = await connectNode(namespaces);
    undo.push(() => disconnectNode(network));
    const [plane, containerd] = await Promise.all([
      startPlane(options, network, undo),
      startRuntime({ folder, namespaces, network, nodeName }, pauseFile),
    ]);
    const context = { folder, plane, namespaces, network, nodeName };
    const kubeletOptions = { ...context, program: programs.kubelet, socket: containerd.socket, cgroup, maxPods };
    const [dns] = await Promise.all([
      startClusterDns(programs['cluster-dns'], context),
      startKubeProxy(programs['kube-proxy'], context),
      startKubelet(kubeletOptions),
    ]);
    await weighCgroups(cgroup);
    const startMs = performance.now() - startedAt;
    return {
      plane,
      folder,
      nodeName,
      network,
      resolver: dns.resolver,
      startMs,
      loadImage: (file) => containerd.importImages(file),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPlane(
  options: ClusterOptions,
  { hostAddress, serviceCidr }: NodeNetwork,
  undo: (() => Promise<void>)[],
): Promise<ControlPlane> {
  const plane = await startControlPlane({
    ...options,
    address: hostAddress,
    serviceCidr,
    controllerManager: true,
    scheduler: true,
  });
  undo.push(() => plane.stop());
  return plane;
}

async function startRuntime(context: Omit<NodeContext, 'plane'>, pauseFile: string): Promise<Containerd> {
  const containerd = await startContainerd(context);
  await containerd.importImages(pauseFile);
  return containerd;
}
