import { networkInterfaces } from 'node:os';
import type { NodeNamespaces } from './node-namespaces.ts';
import { runCommand } from './run-command.ts';

/** The addresses of one cluster, all inside of one block that this machine routes to the node. */
export interface NodeNetwork {
  /** The name of this machine's end of the cable to the node. */
  hostInterface: string;
  /** This machine's end of the cable to the node: what pods reach the API server and a test's own servers at. */
  hostAddress: string;
  nodeAddress: string;
  podCidr: string;
  serviceCidr: string;
}

/** 198.18.0.0/15 is set aside for tests of networks (RFC 2544): it is in use nowhere. It has room for 32 clusters. */
const blocks = 32;

/**
 * Lays a cable between this machine and the node's namespaces, and routes one block of addresses through it, so that
 * the processes here reach pods and Services as pods do. Pods reach this machine, and nothing beyond it: it forwards
 * nothing for them.
 */
export async function connectNode(namespaces: NodeNamespaces): Promise<NodeNetwork> {
  for (let block = 0; block < blocks; block++) {
    const network = networkOfBlock(block);
    const { hostInterface: host } = network;
    if (networkInterfaces()[host] !== undefined) continue;
    // The kernel refuses a name that is taken, which makes this the claim of the block.
    const cable = `link add ${host} type veth peer name eth0 netns ${namespaces.pid}`;
    const isClaimed = await runCommand('ip', cable.split(' ')).then(
      () => true,
      (error: Error) => {
        if (error.message.includes('File exists')) return false;
        throw error;
      },
    );
    if (!isClaimed) continue;
    await runCommand('ip', ['addr', 'add', `${network.hostAddress}/30`, 'dev', host]);
    await runCommand('ip', ['link', 'set', host, 'up']);
    await namespaces.run('ip', ['addr', 'add', `${network.nodeAddress}/30`, 'dev', 'eth0']);
    await namespaces.run('ip', ['link', 'set', 'eth0', 'up']);
    await namespaces.run('ip', ['route', 'add', 'default', 'via', network.hostAddress]);
    await namespaces.run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    await runCommand('ip', ['route', 'add', blockCidr(block), 'via', network.nodeAddress]);
    return network;
  }
  throw new Error(`all ${blocks} address blocks for test clusters are in use (interfaces rmtest*)`);
}

/**
 * Takes the cable away. It would go with the namespaces, but the kernel takes its time over that, and a next cluster
 * would find the block in use.
 */
export async function disconnectNode({ hostInterface }: NodeNetwork): Promise<void> {
  await runCommand('ip', ['link', 'delete', hostInterface]).catch((error: Error) => {
    if (!error.message.includes('Cannot find device')) throw error;
  });
}

function networkOfBlock(block: number): NodeNetwork {
  const prefix = `198.${18 + Math.floor(block / 16)}`;
  const third = (block % 16) * 16;
  return {
    hostInterface: `rmtest${block}`,
    hostAddress: `${prefix}.${third}.1`,
    nodeAddress: `${prefix}.${third}.2`,
    podCidr: `${prefix}.${third + 1}.0/24`,
    serviceCidr: `${prefix}.${third + 8}.0/21`,
  };
}

function blockCidr(block: number): string {
  return networkOfBlock(block).hostAddress.replace(/\.1$/, '.0/20');
}
