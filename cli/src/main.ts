// The command line `riskmodel`: one command a file in commands/, errors as one line, the exit code as the only result.
import { run } from './run.ts';
import { shutdownSignal } from './shutdown-signal.ts';

// The reader of a pipe may have had enough (`riskmodel batch list | head -1`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const { stdin, stdout, stderr, env } = process;
// Not process.exit(): what was printed must reach a pipe first.
process.exitCode = await run(process.argv.slice(2), { stdin, stdout, stderr, env, signal: shutdownSignal() });
