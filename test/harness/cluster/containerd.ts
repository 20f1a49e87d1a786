import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cniFolder, hostProgram } from './host-programs.ts';
import type { NodeContext } from './node-context.ts';
import type { NodeNetwork } from './node-network.ts';
import { ServerProcess } from './server-process.ts';

/** The name of the image that holds a pod's namespaces open. */
export const pauseImage = 'localhost/pause:1';

/** The container runtime of a node: Debian's containerd with everything it keeps inside of the cluster's folder. */
export interface Containerd {
  server: ServerProcess;
  socket: string;
  /** Makes the images of a docker-archive file known to the node. */
  importImages(file: string): Promise<void>;
}

export async function startContainerd({
  folder,
  namespaces,
  network,
}: Omit<NodeContext, 'plane'>): Promise<Containerd> {
  const home = join(folder, 'containerd');
  const socket = join(home, 'containerd.sock');
  const configFile = join(home, 'config.toml');
  const cniConfigFolder = join(home, 'cni');
  await mkdir(cniConfigFolder, { recursive: true });
  await writeFile(join(cniConfigFolder, '10-pods.conflist'), JSON.stringify(makeCniConfig(home, network)));
  await writeFile(configFile, makeConfig(home, socket, cniConfigFolder));
  const ctr = await hostProgram('ctr');
  const server = new ServerProcess({
    name: 'containerd',
    ...namespaces.command(await hostProgram('containerd'), ['--config', configFile]),
    logFile: join(folder, 'containerd.log'),
    isReady: () => namespaces.run(ctr, ['--address', socket, 'version']).then(() => true),
  });
  await server.start();
  return {
    server,
    socket,
    importImages: async (file) => {
      // Without `--no-unpack` the work of the first container is done here, where it is waited for anyway.
      await namespaces.run(ctr, ['--address', socket, '--namespace', 'k8s.io', 'images', 'import', file]);
    },
  };
}

function makeConfig(home: string, socket: string, cniConfigFolder: string): string {
  return `version = 2
root = "${home}/root"
state = "${home}/state"
oom_score = 0

[grpc]
  address = "${socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  # Machines that are containers themselves may not lower a process' score, and runc gives up when it is told to.
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniFolder}"
    conf_dir = "${cniConfigFolder}"
`;
}

/** Pods are on one bridge. Nothing is masqueraded: this machine knows the way back to pods. */
function makeCniConfig(home: string, { podCidr }: NodeNetwork): object {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'pods0',
        isGateway: true,
        // Lets a pod reach itself through its Service.
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: join(home, 'pod-addresses'),
          ranges: [[{ subnet: podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}
