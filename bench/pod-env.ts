/** How Node is called in the pods of servers and queue-workers. */
export const podEnv = { NODE_OPTIONS: '--max-semi-space-size=4' };
