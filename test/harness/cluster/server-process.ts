import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from '../../../cli/src/lifeline.ts';

/**
 * Runs the program "$@" and ends with it; or kills the whole process group when standard input ends, which it does with
 * the test however that ends. What a test cluster holds is not worth an orderly end: kube-apiserver takes a minute.
 */
const killWithParent = `
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
{ while read -r _ <&3; do :; done; kill -KILL 0; } 2>/dev/null &
watcher=$!
wait "$program"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"`;

export interface ServerCommand {
  name: string;
  command: string;
  args: string[];
  /** Further variables of its environment. */
  env?: Record<string, string>;
  /** Gets all that it prints, after what is there. */
  logFile: string;
  /** Whether it answers as it should. It may throw while it does not. */
  isReady: () => Promise<boolean>;
  startTimeoutMs?: number;
  stopTimeoutMs?: number;
}

/** One server of the cluster as a process that tests can stop, kill and start again. It ends when this process does. */
export class ServerProcess {
  readonly #command: ServerCommand;
  #child: ChildProcess | undefined;

  constructor(command: ServerCommand) {
    this.#command = command;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && isRunning(this.#child);
  }

  /** Starts the program and waits until it is ready. @throws Error with the last lines of its log */
  async start(): Promise<void> {
    const { name, command, args, env, logFile, isReady, startTimeoutMs = 60_000 } = this.#command;
    const logFd = openSync(logFile, 'a');
    try {
      this.#child = spawn('/bin/sh', ['-c', killWithParent, 'sh', command, ...args], {
        env: { ...process.env, ...env },
        stdio: ['pipe', logFd, logFd],
        // A process group of its own: for what it starts to be signalled with it, and a terminal's Ctrl-C not to be.
        detached: true,
      });
      this.#child.stdin?.on('error', () => {});
    } finally {
      closeSync(logFd);
    }
    const deadline = Date.now() + startTimeoutMs;
    while (!(await isReady().catch(() => false))) {
      if (!isRunning(this.#child)) throw await this.#failure(`${name} ended at its start`);
      if (Date.now() > deadline) throw await this.#failure(`${name} is not ready after ${startTimeoutMs / 1_000} s`);
      await sleep(25);
    }
  }

  /** Asks the program to stop, waits until it has gone, and kills it when that takes too long. */
  async stop(): Promise<void> {
    this.#signal('SIGTERM');
    if (!(await this.#isGoneWithin(this.#command.stopTimeoutMs ?? 10_000))) await this.kill();
  }

  /** Ends the program at once, as a machine that fails would, and waits until it has gone. */
  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.#isGoneWithin(Infinity);
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // It ended in the meantime.
    }
  }

  /** The child is a shell that leads a group; its end says little about the program, which may still be leaving. */
  async #isGoneWithin(timeoutMs: number): Promise<boolean> {
    const group = this.#child?.pid;
    if (group === undefined) return true;
    const deadline = Date.now() + timeoutMs;
    while (await isGroupAlive(group)) {
      if (Date.now() > deadline) return false;
      await sleep(10);
    }
    return true;
  }

  async #failure(what: string): Promise<Error> {
    const { logFile } = this.#command;
    const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-8);
    return new Error([`${what}; its log is ${logFile}:`, ...lines].join('\n'));
  }
}

/**
 * Whether a process of the group still runs. One that has ended counts no more, even if nobody took note of it yet; but one
 * whose first thread alone has ended still has its ports.
 */
async function isGroupAlive(leader: number): Promise<boolean> {
  const ids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const fields = await Promise.all(ids.map(readState));
  return fields.some(({ state, group, threads }) => group === leader && (state !== 'Z' || threads > 1));
}

/** Source: proc_pid_stat(5) */
async function readState(id: string): Promise<{ state?: string; group?: number; threads: number }> {
  try {
    const stat = await readFile(`/proc/${id}/stat`, 'utf8');
    // The second field is the name in parentheses, which may have any character in it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] as string, group: Number(fields[2]), threads: Number(fields[17]) };
  } catch {
    return { threads: 0 };
  }
}
