import type { ControlPlane } from './control-plane.ts';
import type { NodeNamespaces } from './node-namespaces.ts';
import type { NodeNetwork } from './node-network.ts';

/** What all programs of a node are given. */
export interface NodeContext {
  /** For what they keep, and their logs. */
  folder: string;
  plane: ControlPlane;
  /** Where they run. */
  namespaces: NodeNamespaces;
  network: NodeNetwork;
  nodeName: string;
}
