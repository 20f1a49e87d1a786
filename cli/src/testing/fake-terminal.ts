import { run } from '../run.ts';

export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  /** What standard input holds; without it, it is a terminal. */
  stdin?: string;
  signal?: AbortSignal;
}

/** Runs a command line in this process and returns what it printed. */
export async function runCommand(args: string[], options: RunOptions = {}): Promise<CommandResult> {
  const { env = {}, stdin, signal = new AbortController().signal } = options;
  const printed = { stdout: '', stderr: '' };
  const exitCode = await run(args, {
    stdin: Object.assign(linesOf(stdin ?? ''), { isTTY: stdin === undefined }),
    stdout: { write: (text) => (printed.stdout += text) },
    stderr: { write: (text) => (printed.stderr += text) },
    env,
    signal,
  });
  return { exitCode, ...printed };
}

async function* linesOf(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
