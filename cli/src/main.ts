// The command line `riskmodel`: one command a file in commands/, errors as one line, the exit code as the only result.
import { bearClosedPipes } from './closed-pipes.ts';
import { run } from './run.ts';
import { shutdownSignal } from './shutdown-signal.ts';

bearClosedPipes();

const { stdin, stdout, stderr, env } = process;
// Not process.exit(): what was printed must reach a pipe first.
process.exitCode = await run(process.argv.slice(2), { stdin, stdout, stderr, env, signal: shutdownSignal() });
