import { messageOf } from '../core/src/errors.ts';
import { bearClosedPipes } from '../cli/src/closed-pipes.ts';
import { shutdownSignal } from '../cli/src/shutdown-signal.ts';
import type { Terminal } from '../cli/src/terminal.ts';

/** Runs a script to its exit code; what goes wrong is told in a line for people, without a stack trace. */
export async function runScript(main: (terminal: Terminal) => Promise<number>): Promise<void> {
  bearClosedPipes();
  const { stdin, stdout, stderr, env } = process;
  try {
    process.exitCode = await main({ stdin, stdout, stderr, env, signal: shutdownSignal() });
  } catch (error) {
    process.stderr.write(`riskmodel: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
