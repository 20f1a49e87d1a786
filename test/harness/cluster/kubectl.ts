import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface CommandOptions {
  /** Given to the program on its standard input, as for `kubectl apply -f -`. */
  input?: string;
  /** The program is ended when it takes longer. */
  timeoutMs?: number;
}

/** A program such as kubectl or helm that a kubeconfig file is given to. */
export class ClusterCommand {
  readonly #program: string;
  readonly #kubeconfig: string;
  readonly #env: Record<string, string>;

  /** @param env variables of its own, beside PATH and HOME */
  constructor(program: string, kubeconfig: string, env: Record<string, string> = {}) {
    this.#program = program;
    this.#kubeconfig = kubeconfig;
    this.#env = env;
  }

  /** The same program for the one that another kubeconfig file belongs to. */
  as(kubeconfig: string): ClusterCommand {
    return new ClusterCommand(this.#program, kubeconfig, this.#env);
  }

  /** Runs it and returns what it prints. @throws Error with the command and what it said, when it fails */
  async run(args: string[], { input, timeoutMs = 60_000 }: CommandOptions = {}): Promise<string> {
    const child = spawn(this.#program, args, {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], KUBECONFIG: this.#kubeconfig, ...this.#env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
    });
    // A program that does not read its input to the end is not at fault.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const [stdout, stderr, [code, signal]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>,
    ]);
    if (code === 0) return stdout;
    const command = [this.#program.split('/').at(-1), ...args].join(' ');
    throw new Error(`${command} failed (${signal ?? `exit code ${code}`}): ${(stderr || stdout).trim()}`);
  }

  /** Runs it with `--output=json` and returns what it prints. */
  async json<Result = Record<string, unknown>>(args: string[], options?: CommandOptions): Promise<Result> {
    return JSON.parse(await this.run([...args, '--output=json'], options)) as Result;
  }
}
