import { nodeFlags } from '../operator/src/riskmodel/resources/pod.ts';

/** How Node is called in the pods of servers and queue-workers. */
export const podEnv = { NODE_OPTIONS: nodeFlags.join(' ') };
