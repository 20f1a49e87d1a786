import { execFile } from 'node:child_process';
import { platform } from 'node:os';
import { promisify } from 'node:util';

/** Why this machine can't run a node with real containers, in one line; undefined when it can. */
export async function whyNoNode(): Promise<string | undefined> {
  if (platform() !== 'linux') return `containers need Linux, and this is ${platform()}`;
  if (process.getuid?.() !== 0) return 'containers need root, and this is another user';
  try {
    await promisify(execFile)('unshare', ['--mount', '--net', '--pid', '--fork', '--mount-proc', 'true']);
    return undefined;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    return `this machine allows no namespaces of its own: ${stderr?.trim() || message}`;
  }
}
