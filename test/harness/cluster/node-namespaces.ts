import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './run-command.ts';

const namespaceFlags = ['--mount', '--net', '--pid', '--ipc', '--uts'];

/**
 * What the first process of the namespaces does. The node's programs write to fixed places, so it puts folders of the
 * cluster's own over these; nobody outside sees that. Then it waits for its standard input to end, and meanwhile reaps
 * the processes that containers leave behind.
 */
const firstProcess = `
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
mount --bind "$1/var-log" /var/log
ip link set lo up
echo ready
cat
`;

/**
 * Mount, network, process, IPC and host name namespaces in which the node's programs and its containers live. They all
 * end when the first process does, which it does with this one however this one ends: the kernel then kills what is
 * left and takes down every mount, interface and firewall rule. Nothing has to be found and cleaned up.
 */
export class NodeNamespaces {
  readonly #holder: ChildProcess;
  readonly #pid: number;

  private constructor(holder: ChildProcess, pid: number) {
    this.#holder = holder;
    this.#pid = pid;
  }

  /** @param folder gets what the node's programs write into places of the host, and their log */
  static async create(folder: string): Promise<NodeNamespaces> {
    await mkdir(join(folder, 'var-log'), { recursive: true });
    const logFile = join(folder, 'namespaces.log');
    const logFd = openSync(logFile, 'w');
    const holder = spawn(
      'unshare',
      [...namespaceFlags, '--fork', '--kill-child', '--mount-proc', 'sh', '-c', firstProcess, 'sh', folder],
      { stdio: ['pipe', 'pipe', logFd], detached: true },
    );
    closeSync(logFd);
    holder.stdin?.on('error', () => {});
    const isReady = await Promise.race([
      once(holder.stdout as NodeJS.ReadableStream, 'data').then(() => true),
      once(holder, 'exit').then(() => false),
    ]);
    if (!isReady) {
      throw new Error(`namespaces for the node could not be made: ${(await readFile(logFile, 'utf8')).trim()}`);
    }
    return new NodeNamespaces(holder, await onlyChildOf(holder.pid as number));
  }

  /** The first process' id, as this process sees it. */
  get pid(): number {
    return this.#pid;
  }

  /** The command line that runs a program inside of the namespaces. */
  command(program: string, args: string[]): { command: string; args: string[] } {
    return { command: 'nsenter', args: ['--target', String(this.#pid), ...namespaceFlags, '--', program, ...args] };
  }

  /** Runs a program inside of the namespaces to its end and returns what it printed. */
  run(program: string, args: string[], options?: { timeoutMs?: number }): Promise<string> {
    const { command, args: all } = this.command(program, args);
    return runCommand(command, all, options);
  }

  /** Ends all that runs inside of them. */
  async end(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const exited = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await exited;
  }
}

async function onlyChildOf(pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim());
}
