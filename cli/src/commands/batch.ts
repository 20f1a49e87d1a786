import { Option, type Command } from 'commander';
import { batchActions, batchInputFormats, type Batch } from '@riskmodel/core/batches/batch.ts';
import { ApiClient } from '../api-client.ts';
import { batchLines, batchTable } from '../batch-text.ts';
import { commandLine } from '../command-line.ts';
import { CommandError } from '../errors.ts';
import { callerToken, outputOption, serverOption, serverUrl, tokenOption, type OutputFormat } from '../options.ts';
import { printJson, printLine, type Terminal } from '../terminal.ts';
import { watchBatch } from '../watch-batch.ts';

interface CommonOptions {
  token?: string;
  server?: string;
  output: OutputFormat;
}

interface SubmitOptions extends CommonOptions {
  model: string;
  action?: NonNullable<Batch['action']>;
  input: string;
  format?: NonNullable<Batch['format']>;
  idempotencyKey?: string;
  wait?: boolean;
}

/** `riskmodel batch submit|list|get|cancel`: batches of the running server. */
export function addBatch(program: Command, terminal: Terminal): void {
  const batch = program
    .command('batch')
    .description('Score whole files: submit batches, look at them, call them off.')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
Examples:
  riskmodel batch submit --model credit-default --input gs://applications/today.parquet --wait
  riskmodel batch list
  riskmodel batch get ID -o json
  riskmodel batch cancel ID`,
    );

  batch
    .command('submit')
    .description('Queue a file of a bucket to be scored.')
    .requiredOption('-m, --model <name>', "the model's name")
    .requiredOption(
      '-i, --input <uri>',
      'the file: gs://BUCKET/PATH (JSON, NDJSON, CSV or Parquet); several: gs://BUCKET/FOLDER/ or gs://BUCKET/*.csv',
    )
    .addOption(
      new Option('--format <format>', "its format, where name and first bytes don't tell it").choices(
        batchInputFormats,
      ),
    )
    .addOption(
      new Option('--action <action>', "LoadFeatures writes the file's features to the model's feature store").choices(
        batchActions,
      ),
    )
    .option('--idempotency-key <key>', 'submitted again with the same key, it is the same batch')
    .option('--wait', 'show the progress and wait for the end; exit 1 when the batch failed')
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  riskmodel batch submit --model credit-default --input gs://applications/today.parquet --wait
  riskmodel batch submit --model credit-default --input gs://applications/may.csv --idempotency-key may -o json

Locally gs://BUCKET/PATH is the file PATH in the folder .riskmodel/buckets/BUCKET.`,
    )
    .action((options: SubmitOptions) => submit(options, terminal));

  batch
    .command('list')
    .description('List the newest batches.')
    .option('-m, --model <name>', 'only those of this model')
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  riskmodel batch list --model credit-default')
    .action(async (options: CommonOptions & { model?: string }) => {
      const batches = await open(options, terminal).listBatches(options.model);
      if (options.output === 'json') printJson(terminal.stdout, batches);
      else if (batches.length === 0) printLine(terminal.stdout, 'There are no batches.');
      else for (const line of batchTable(batches, new Date())) printLine(terminal.stdout, line);
    });

  batch
    .command('get')
    .description('Show one batch: its state, rows, tables, metrics and error.')
    .argument('<id>', "the batch's id")
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  riskmodel batch get 7c9e6679-7425-40de-944b-e07fc1f90ae7')
    .action(async (id: string, options: CommonOptions) => {
      printBatch(await open(options, terminal).getBatch(id), options.output, terminal);
    });

  batch
    .command('cancel')
    .description('Call off a batch that has not been committed.')
    .argument('<id>', "the batch's id")
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  riskmodel batch cancel 7c9e6679-7425-40de-944b-e07fc1f90ae7')
    .action((id: string, options: CommonOptions) => cancel(id, options, terminal));
}

async function submit(options: SubmitOptions, terminal: Terminal): Promise<void> {
  const { env, signal } = terminal;
  const client = open(options, terminal);
  const { model, action, input, format, idempotencyKey } = options;
  const submitted = await client.submitBatch({
    model,
    input,
    ...(action !== undefined && { action }),
    ...(format !== undefined && { format }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  });
  if (!options.wait) {
    if (options.output === 'json') printJson(terminal.stdout, submitted);
    else {
      printLine(terminal.stdout, `batch ${submitted.id} is ${submitted.state}`);
      const get = commandLine(['batch', 'get', submitted.id], { url: client.url, env });
      printLine(terminal.stdout, `see it with: ${get}`);
    }
    return;
  }
  const batch = await watchBatch(submitted, { client, output: terminal.stderr, env, signal });
  printBatch(batch, options.output, terminal);
  if (batch.state === 'cancelled') throw new CommandError(`batch ${batch.id} was cancelled`);
  if (batch.state === 'failed') {
    const { code = 'Failed', message = 'no reason was recorded' } = batch.error ?? {};
    throw new CommandError(`batch ${batch.id} failed: ${code}: ${message}`);
  }
}

async function cancel(id: string, options: CommonOptions, terminal: Terminal): Promise<void> {
  const batch = await open(options, terminal).cancelBatch(id);
  if (options.output === 'json') printJson(terminal.stdout, batch);
  else printLine(terminal.stdout, `batch ${batch.id} is ${batch.state}`);
}

function open(options: CommonOptions, terminal: Terminal): ApiClient {
  return new ApiClient(serverUrl(options.server, terminal), {
    token: callerToken(options.token, terminal),
    signal: terminal.signal,
  });
}

function printBatch(batch: Batch, output: OutputFormat, { stdout }: Terminal): void {
  if (output === 'json') printJson(stdout, batch);
  else for (const line of batchLines(batch, new Date())) printLine(stdout, line);
}
