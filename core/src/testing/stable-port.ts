import { randomInt } from 'node:crypto';
import { isPortFree } from '../free-port.ts';

/** Below the range (32768 and up on Linux) that the kernel takes the ports of outgoing connections from. */
const [lowest, highest] = [15_000, 30_000];

/**
 * A free port that stays free while its server is away: a port of the kernel's own range could by then be the near end
 * of anybody's connection, and the server could not come back to it.
 */
export async function stablePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest);
    if (await isPortFree(port, host)) return port;
  }
}
