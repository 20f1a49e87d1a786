import { messageOf } from '@riskmodel/core/errors.ts';

/** A stream that text is written to; `isTTY` when a person watches it. */
export interface TextOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

/** What a command reads and writes: the process's own streams and environment, or a test's. */
export interface Terminal {
  stdin: AsyncIterable<unknown> & { readonly isTTY?: boolean | undefined };
  stdout: TextOutput;
  stderr: TextOutput;
  env: NodeJS.ProcessEnv;
  /** Aborted when the user, or the system, asks the command to stop. */
  signal: AbortSignal;
}

export function printLine(output: TextOutput, line = ''): void {
  output.write(`${line}\n`);
}

/** What went wrong, each line of it marked as this program's. */
export function printError(output: TextOutput, error: unknown): void {
  for (const line of messageOf(error).split('\n')) printLine(output, `riskmodel: ${line}`);
}

export function printJson(output: TextOutput, value: unknown): void {
  printLine(output, JSON.stringify(value, undefined, 2));
}
