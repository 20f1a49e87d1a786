import type { ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { CommandError } from './errors.ts';
import { spawnNode, stopChild } from './lifeline.ts';

/** A program that dies this often, each time within `healthyMs` of its start, is given up. */
const maxRestarts = 5;
const healthyMs = 60_000;
const firstDelayMs = 500;

export interface ManagedProgramOptions {
  /** What people call it, such as `server`. */
  name: string;
  /** The TypeScript file that is run. */
  file: string;
  env: NodeJS.ProcessEnv;
  /** Gets all it prints, after what is there. */
  logFile: string;
  /** Told, in whole lines, when it is restarted. */
  log: (line: string) => void;
}

/**
 * A child process that is kept running: until `keepRunning` its end is a failure, from then on it is started again, a
 * few times and with growing delays.
 */
export class ManagedProgram {
  /** Resolves, with what went wrong, when it has ended and is not started again. */
  readonly failed: Promise<Error>;
  readonly #options: ManagedProgramOptions;
  #fail: (error: Error) => void = () => {};
  #child: ChildProcess | undefined;
  #logStart = 0;
  #startedAt = 0;
  #isKept = false;
  #isStopping = false;
  #restarts = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ManagedProgramOptions) {
    this.#options = options;
    this.failed = new Promise((resolve) => (this.#fail = resolve));
  }

  get logFile(): string {
    return this.#options.logFile;
  }

  start(): void {
    const { file, env, logFile } = this.#options;
    const logFd = openSync(logFile, 'a');
    try {
      this.#logStart = fstatSync(logFd).size;
      this.#startedAt = Date.now();
      this.#child = spawnNode(file, { env, logFd });
    } finally {
      closeSync(logFd);
    }
    this.#child.once('error', (error) => this.#fail(error));
    this.#child.once('exit', (code, signal) => void this.#onExit(signal ?? `exit code ${code}`));
  }

  /** It has started well: from now on it is restarted when it ends. */
  keepRunning(): void {
    this.#isKept = true;
  }

  /** Asks it to stop and waits; after `graceMs` it is killed. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    if (this.#child) await stopChild(this.#child, graceMs);
  }

  async #onExit(how: string): Promise<void> {
    if (this.#isStopping) return;
    const { name, log, logFile } = this.#options;
    if (Date.now() - this.#startedAt > healthyMs) this.#restarts = 0;
    if (!this.#isKept || this.#restarts === maxRestarts) {
      const lines = await lastLines(logFile, this.#logStart, 8);
      const ended = this.#isKept ? 'keeps ending' : 'ended at its start';
      this.#fail(new CommandError([`the ${name} ${ended} (${how}); its log is ${logFile}`, ...lines].join('\n')));
      return;
    }
    const delayMs = firstDelayMs * 2 ** this.#restarts++;
    log(`the ${name} ended unexpectedly (${how}); starting it again in ${delayMs / 1_000} s; its log is ${logFile}`);
    this.#timer = setTimeout(() => this.start(), delayMs);
  }
}

/** The last lines that were written to a log after `start`, of structured lines only the message. */
async function lastLines(logFile: string, start: number, count: number): Promise<string[]> {
  const handle = await open(logFile);
  try {
    const { size } = await handle.stat();
    const from = Math.max(start, size - 64 * 1024);
    const { buffer } = await handle.read({ buffer: Buffer.alloc(size - from), position: from });
    const lines = buffer
      .toString('utf8')
      .split('\n')
      .map((line) => messageOf(line).trimEnd())
      .filter((line) => line !== '' && !/^\s+at /.test(line));
    return lines.slice(-count);
  } finally {
    await handle.close();
  }
}

function messageOf(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const { message, err } = JSON.parse(line) as { message?: unknown; err?: { message?: unknown } };
    return [message, err?.message].filter((part) => typeof part === 'string').join(': ') || line;
  } catch {
    return line;
  }
}
