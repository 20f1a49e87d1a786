import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSecondsOf } from './cpu-time.ts';

/** A program of the product, running as a real process that a test may kill. */
export class Program {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly #name: string;
  /** Resolves when it has ended and all that it printed has been read. */
  readonly #closed: Promise<void>;

  constructor(name: string, file: string, env: NodeJS.ProcessEnv) {
    this.#name = name;
    this.child = spawn(process.execPath, [file], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], METADATA_SERVER_DETECTION: 'none', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = new Promise((resolve) => this.child.once('close', () => resolve()));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits for a line of the log; fails with the whole log when the program ends, or time runs out, before. */
  async waitForLine(pattern: RegExp, timeoutMs = 60_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const hasEnded = !this.isRunning;
      // Its last lines may come after its end is known.
      if (hasEnded) await this.#closed;
      const line = this.lines.find((candidate) => pattern.test(candidate));
      if (line !== undefined) return line;
      if (hasEnded || Date.now() > deadline) {
        throw new Error(`${this.#name} did not print ${pattern}; it printed:\n${this.lines.join('\n')}`);
      }
      await sleep(20);
    }
  }

  /** Kills the process at once, as a machine that fails would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Asks the process to stop and waits for it, and for the end of its log. Returns its exit code. */
  async stop(): Promise<number | null> {
    await this.#end('SIGTERM');
    return this.child.exitCode;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.isRunning) this.child.kill(signal);
    await this.#closed;
  }

  /** The largest resident memory the process has had, in bytes (Linux's VmHWM). */
  peakMemory(): number {
    return this.#memory('VmHWM');
  }

  /** The resident memory that the process has, in bytes (Linux's VmRSS). */
  residentMemory(): number {
    return this.#memory('VmRSS');
  }

  #memory(field: 'VmHWM' | 'VmRSS'): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  }

  /** The CPU that the process has used, in seconds. */
  cpuSeconds(): number {
    return cpuSecondsOf(this.child.pid);
  }
}
