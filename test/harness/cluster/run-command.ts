import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs a program to its end and returns what it printed. @throws Error with its command line and what it complained of */
export async function runCommand(
  command: string,
  args: string[],
  { env = process.env, timeoutMs = 0 }: { env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      env,
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const said = stderr?.trim() || message;
    throw new Error(`${[command, ...args].join(' ')} failed: ${said}`, { cause: error });
  }
}
