import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, spawnProgram, stopChild } from '../../../cli/src/lifeline.ts';

export interface ServerCommand {
  name: string;
  command: string;
  args: string[];
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
    const { name, command, args, logFile, isReady, startTimeoutMs = 60_000 } = this.#command;
    const logFd = openSync(logFile, 'a');
    try {
      this.#child = spawnProgram(command, args, { logFd });
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
    if (this.#child) await stopChild(this.#child, this.#command.stopTimeoutMs ?? 10_000);
    await this.#gone();
  }

  /** Ends the program at once, as a machine that fails would, and waits until it has gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || !isRunning(child)) return;
    const exited = once(child, 'exit');
    process.kill(-(child.pid as number), 'SIGKILL');
    await exited;
    await this.#gone();
  }

  /** The child is a shell that leads a group; its end says little about the program, which may still be leaving. */
  async #gone(): Promise<void> {
    while (this.#child?.pid !== undefined && isGroupAlive(this.#child.pid)) await sleep(5);
  }

  async #failure(what: string): Promise<Error> {
    const { logFile } = this.#command;
    const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-8);
    return new Error([`${what}; its log is ${logFile}:`, ...lines].join('\n'));
  }
}

function isGroupAlive(leader: number): boolean {
  try {
    process.kill(-leader, 0);
    return true;
  } catch {
    return false;
  }
}
