import { join } from 'node:path';
import type { Command } from 'commander';
import { commandLine } from '../command-line.ts';
import { ToldError } from '../errors.ts';
import { writeExamples, type Examples } from '../examples.ts';
import { startSystem, type LocalSystem } from '../local-system.ts';
import { outputOption, wholeNumber, type OutputFormat } from '../options.ts';
import { shortPath } from '../short-path.ts';
import { aborted } from '../shutdown-signal.ts';
import { printError, printJson, printLine, type Terminal, type TextOutput } from '../terminal.ts';
import { unsupportedEngineLine, unusedFieldsLine } from '../unused-fields.ts';

interface UpOptions {
  filename: string[];
  data: string;
  host: string;
  port: number;
  workers: number;
  defaultModel?: string;
  output: OutputFormat;
}

/**
 * `riskmodel up`: the whole system on this machine, until it is stopped.
 *
 * @param examples what to try the first model with, when the caller has something better than one that is made up
 */
export function addUp(program: Command, terminal: Terminal, examples?: Examples): void {
  program
    .command('up')
    .description('Serve manifests on this machine: HTTP server, batch workers, a folder of buckets and tables.')
    .requiredOption('-f, --filename <file...>', 'manifest files')
    .option('-p, --port <port>', "the server's port; 0 is any free one", wholeNumber(0, 65_535), 8080)
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--data <folder>', 'where buckets, tables, queues and logs are kept', '.riskmodel')
    .option('--workers <count>', 'how many batch workers to run', wholeNumber(1, 64), 1)
    .option('--default-model <name>', 'the model of POST /risk-online-prediction when several are served')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  riskmodel up -f riskmodel.yaml
  riskmodel up -f retail.yaml small-business.yaml --default-model retail --port 9000 --workers 2

Redis is that of REDIS_URL, else a private one that is started here and stopped at the end.
Ctrl-C stops it: requests in flight are answered, batches go on at the next start.`,
    )
    .action((options: UpOptions) => up(options, terminal, examples));
}

async function up(options: UpOptions, terminal: Terminal, examples?: Examples): Promise<void> {
  const { stdout, stderr, env, signal } = terminal;
  const startedAt = performance.now();
  const system = await startSystem({
    manifests: options.filename,
    dataDir: options.data,
    host: options.host,
    port: options.port,
    workers: options.workers,
    defaultModel: options.defaultModel,
    env,
    log: (line) => printLine(stderr, line),
    signal,
  });
  try {
    const seconds = (performance.now() - startedAt) / 1_000;
    for (const line of [unusedFieldsLine(system.models), unsupportedEngineLine(system.models)]) {
      if (line !== undefined) printLine(stderr, line);
    }
    if (options.output === 'json') printJson(stdout, summary(system));
    else printWelcome(system, { seconds, examples: examples ?? (await writeExamples(system)), env }, stdout);
    const failure = await Promise.race([system.failed, aborted(signal)]);
    // Before stopping, which takes a while.
    if (failure) printError(stderr, failure);
    printLine(stderr, 'Stopping ...');
    if (failure) throw new ToldError(failure.message, { cause: failure });
  } finally {
    await system.stop();
  }
}

function summary({ url, dataDir, models }: LocalSystem): object {
  return { url, dataDir, models: models.map(({ metadata }) => metadata.name) };
}

/** What is there now, and what to do with it. */
function printWelcome(
  { url, dataDir, models }: LocalSystem,
  { seconds, examples, env }: { seconds: number; examples: Examples; env: NodeJS.ProcessEnv },
  output: TextOutput,
): void {
  const names = models.map(({ metadata }) => metadata.name);
  const folder = shortPath(dataDir);
  const model = ['--model', names[0] as string];
  const commands = [
    ['predict', ...model, '--file', shortPath(examples.applicant)],
    ['batch', 'submit', ...model, '--input', examples.input, '--wait'],
  ];
  const lines = [
    `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} ready after ${seconds.toFixed(1)} s.`,
    '',
    `  API pages    ${url}/docs`,
    `  OpenAPI      ${url}/openapi.json`,
    `  metrics      ${url}/metrics`,
    `  buckets      ${join(folder, 'buckets')} (gs://NAME/... is the folder NAME in it)`,
    `  tables       ${join(folder, 'warehouse')} (folders of Parquet files)`,
    `  logs         ${join(folder, 'logs')}`,
    '',
    'Next, in another terminal:',
    ...commands.map((command) => `  ${commandLine(command, { url, env })}`),
    '',
    'Ctrl-C stops it.',
  ];
  for (const line of lines) printLine(output, line);
}
