import { join } from 'node:path';
import { ensureBinaries } from './binaries.ts';
import type { ControlPlane } from './control-plane.ts';
import { ServerProcess } from './server-process.ts';

export interface FakeNodesOptions {
  count?: number;
  /** Told, in whole lines, what takes long. */
  log?: (line: string) => void;
}

const stages = join(import.meta.dirname, 'fake-node-stages.yaml');

/**
 * Adds nodes that kwok plays: the scheduler puts pods on them, which are Running and ready at once, and nothing runs. It
 * is for tests of many objects, and needs a control plane with its controllers and scheduler.
 * @returns the function that stops playing them; the end of this process does so too
 */
export async function startFakeNodes(
  plane: ControlPlane,
  { count = 1, log = () => {} }: FakeNodesOptions = {},
): Promise<() => Promise<void>> {
  const { kwok } = await ensureBinaries(['kwok'], log);
  const names = Array.from({ length: count }, (_, index) => `fake-${index + 1}`);
  for (const name of names) await plane.api.call('POST', '/api/v1/nodes', makeNode(name));
  const server = new ServerProcess({
    name: 'kwok',
    command: kwok,
    args: [
      `--kubeconfig=${plane.kubeconfig}`,
      `--config=${stages}`,
      '--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake',
      // Without leases the controllers take a node for lost after 40 seconds.
      '--node-lease-duration-seconds=40',
      '--node-ip=192.0.2.1',
      // The range for carriers' networks: nobody takes these for addresses that answer.
      '--cidr=100.64.0.0/10',
    ],
    logFile: join(plane.folder, 'kwok.log'),
    isReady: async () => (await Promise.all(names.map((name) => isNodeReady(plane, name)))).every(Boolean),
  });
  await server.start();
  return () => server.kill();
}

function makeNode(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      annotations: { 'kwok.x-k8s.io/node': 'fake' },
      labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', type: 'kwok' },
    },
  };
}

async function isNodeReady(plane: ControlPlane, name: string): Promise<boolean> {
  const { spec, status } = await plane.api.call<{
    spec: { taints?: unknown[] };
    status: { conditions?: { type: string; status: string }[] };
  }>('GET', `/api/v1/nodes/${name}`);
  const isReady = status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  // The scheduler passes a node by until its controller has taken note.
  return isReady && spec.taints === undefined;
}
