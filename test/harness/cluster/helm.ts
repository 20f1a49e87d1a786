import { join } from 'node:path';
import { ensureBinaries } from './binaries.ts';
import type { ControlPlane } from './control-plane.ts';
import { ClusterCommand } from './kubectl.ts';

/** The administrator's helm. What it keeps for itself goes into the cluster's folder, not into the user's home. */
export async function makeHelm(
  plane: Pick<ControlPlane, 'kubeconfig' | 'folder'>,
  log: (line: string) => void = () => {},
): Promise<ClusterCommand> {
  const { helm } = await ensureBinaries(['helm'], log);
  const home = join(plane.folder, 'helm');
  return new ClusterCommand(helm, plane.kubeconfig, {
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
  });
}
