import type { Command } from 'commander';
import { messageOf } from '@riskmodel/core/errors.ts';
import { ApiClient } from '../api-client.ts';
import { UsageError } from '../errors.ts';
import { jsonRows } from '../json-rows.ts';
import { readText } from '../read-text.ts';
import { callerToken, outputOption, serverOption, serverUrl, tokenOption, type OutputFormat } from '../options.ts';
import { printJson, printLine, type Terminal } from '../terminal.ts';
import { textTable } from '../text-table.ts';

interface PredictOptions {
  token?: string;
  model: string;
  data?: string;
  file?: string;
  server?: string;
  output: OutputFormat;
}

/** `riskmodel predict`: the probabilities of a few rows, from the running server. */
export function addPredict(program: Command, terminal: Terminal): void {
  program
    .command('predict')
    .description('Ask a running server for the probabilities of one applicant, or of a few.')
    .requiredOption('-m, --model <name>', "the model's name")
    .option('-d, --data <json>', 'a JSON object by feature name, or an array of them')
    .option('--file <path>', 'a file with such JSON, or with one object a line (NDJSON); - is standard input')
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  riskmodel predict --model credit-default --file applicant.json
  riskmodel predict --model small --data '{"LIMIT_BAL": 20000, "AGE": 24}'
  head -n 5 applicants.ndjson | riskmodel predict --model credit-default -o json

Prints the probability of class 0 and of class 1 for each row; -o json prints the pairs.`,
    )
    .action((options: PredictOptions) => predict(options, terminal));
}

async function predict(options: PredictOptions, terminal: Terminal): Promise<void> {
  const instances = await readRows(options, terminal);
  const client = new ApiClient(serverUrl(options.server, terminal), {
    token: callerToken(options.token, terminal),
    signal: terminal.signal,
  });
  const predictions = await client.predict(options.model, instances);
  if (options.output === 'json') {
    printJson(terminal.stdout, predictions);
    return;
  }
  const rows = predictions.map((pair) => pair.map((probability) => probability.toFixed(6)));
  const columns = ['prob_0', 'prob_1'].map((title) => ({ title, align: 'right' as const }));
  for (const line of textTable(columns, rows)) printLine(terminal.stdout, line);
}

async function readRows({ data, file }: PredictOptions, { stdin }: Terminal): Promise<string> {
  if (data !== undefined && file !== undefined) throw new UsageError('--data and --file exclude each other');
  if (data !== undefined) return jsonRows(data, '--data');
  if (file !== undefined && file !== '-') return jsonRows(await readInput(file), file);
  if (file === undefined && stdin.isTTY)
    throw new UsageError('nothing to predict: give --data, --file or standard input');
  let text = '';
  for await (const chunk of stdin) text += String(chunk);
  return jsonRows(text, 'standard input');
}

async function readInput(file: string): Promise<string> {
  try {
    return await readText(file);
  } catch (error) {
    throw new UsageError(`--file: ${file}: ${messageOf(error)}`);
  }
}
