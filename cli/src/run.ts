import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addBatch } from './commands/batch.ts';
import { addConvert } from './commands/convert.ts';
import { addKey } from './commands/key.ts';
import { addPredict } from './commands/predict.ts';
import { addUp } from './commands/up.ts';
import { addValidate } from './commands/validate.ts';
import { CommandError, ToldError } from './errors.ts';
import type { Examples } from './examples.ts';
import { printError, printLine, type Terminal } from './terminal.ts';

/**
 * Runs one command line (without the program's own name) and returns its exit code: 0, 1 (failed) or 2 (misused).
 *
 * @param examples what `up` suggests to try
 */
export async function run(args: string[], terminal: Terminal, examples?: Examples): Promise<number> {
  const program = makeProgram(terminal, examples);
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, program, args, terminal);
  }
}

function makeProgram(terminal: Terminal, examples: Examples | undefined): Command {
  const program = new Command('riskmodel')
    .description('Serve credit-risk models online and in batch, from one manifest.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      // Help that nobody asked for (no command was given) goes here; errors are reported in one place, below.
      writeErr: (text) => terminal.stderr.write(text),
      outputError: () => {},
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    })
    .exitOverride();
  addUp(program, terminal, examples);
  addPredict(program, terminal);
  addBatch(program, terminal);
  addValidate(program, terminal);
  addKey(program, terminal);
  addConvert(program, terminal);
  program.addHelpText(
    'after',
    `
Examples:
  riskmodel up -f riskmodel.yaml
  riskmodel predict --model credit-default --file applicant.json
  riskmodel batch submit --model credit-default --input gs://applications/today.parquet --wait

The server's address is http://127.0.0.1:8080, or that of --server or RISKMODEL_SERVER.
A server that wants to know who calls is given the key or token of --token or RISKMODEL_TOKEN.
Exit codes: 0 done, 1 failed, 2 called wrongly.`,
  );
  return program;
}

function report(error: unknown, program: Command, args: string[], { stderr }: Terminal): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    // commander.help: a command that needs a subcommand got none, and printed its help.
    if (error.code !== 'commander.help') {
      const message = error.message
        .replace(/^error: /, '')
        .replaceAll(/\s*\n\s*/g, ' ')
        .replace(/\.$/, '');
      printLine(stderr, `riskmodel: ${message}; see ${commandPath(program, args)} --help`);
    }
    return 2;
  }
  if (!(error instanceof ToldError)) printError(stderr, error);
  return error instanceof CommandError ? error.exitCode : 1;
}

/** The command that the arguments lead to, such as `riskmodel batch submit`. */
function commandPath(program: Command, args: string[]): string {
  const path = [program.name()];
  let command = program;
  for (const arg of args) {
    const next = command.commands.find((candidate) => candidate.name() === arg);
    if (next === undefined) break;
    path.push(arg);
    command = next;
  }
  return path.join(' ');
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}
