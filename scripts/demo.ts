// `npm run demo`: the first minute with riskmodel. Starts the whole system on this machine, asks it for one prediction,
// has it score a file, shows where the answers lie, and stops everything again.
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { ApiClient } from '../cli/src/api-client.ts';
import { batchSeconds, formatCount, metricsLines } from '../cli/src/batch-text.ts';
import { commandLine, shellWord } from '../cli/src/command-line.ts';
import { CommandError } from '../cli/src/errors.ts';
import { isPortFree } from '@riskmodel/core/free-port.ts';
import { startSystem, type LocalSystem } from '../cli/src/local-system.ts';
import type { Terminal } from '../cli/src/terminal.ts';
import { shortPath } from '../cli/src/short-path.ts';
import { textTable } from '../cli/src/text-table.ts';
import { watchBatch } from '../cli/src/watch-batch.ts';
import type { Batch } from '../core/src/batches/batch.ts';
import { decide } from '../core/src/model/model.ts';
import type { RiskModel } from '../core/src/riskmodel/zz_generated.riskmodel.ts';
import { applicant, exampleManifest, readExample, root, sample, uploadModel, writeSample } from './example.ts';
import { runScript } from './run-script.ts';

/** Apart from the folder of `npm start`, so that the demo also runs beside it. */
const dataDir = join(root, '.riskmodel', 'demo');
const host = '127.0.0.1';
const usualPort = 8080;

let steps = 0;

function step(title: string): void {
  console.log(`${steps === 0 ? '' : '\n'}${++steps}. ${title}`);
}

function say(...lines: string[]): void {
  for (const line of lines) console.log(line === '' ? '' : `   ${line}`);
}

async function timed<T>(work: Promise<T>): Promise<{ value: T; seconds: number }> {
  const startedAt = performance.now();
  const value = await work;
  return { value, seconds: (performance.now() - startedAt) / 1_000 };
}

async function start(model: RiskModel, signal: AbortSignal): Promise<LocalSystem> {
  step('Start the system: HTTP server, batch worker and Redis; a folder as the buckets, one as the warehouse');
  const path = await uploadModel(model, dataDir);
  say(`uploaded ${shortPath(path)}`, `      as ${model.spec.artifact.uri}`);
  const port = (await isPortFree(usualPort, host)) ? usualPort : 0;
  const options = { manifests: [exampleManifest], dataDir, host, port, workers: 1, env: process.env };
  const { value: system, seconds } = await timed(startSystem({ ...options, log: say, signal }));
  say(
    `applied  ${shortPath(exampleManifest)}: ${model.metadata.name} version ${model.spec.artifact.version}`,
    `ready    ${system.url} after ${seconds.toFixed(1)} s`,
  );
  return system;
}

async function predictOne({ spec }: RiskModel, url: string): Promise<void> {
  step('Ask for one prediction');
  const body = JSON.stringify(applicant);
  const ask = async (): Promise<[number, number]> => {
    const response = await fetch(`${url}/risk-online-prediction`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    if (!response.ok) throw new CommandError(`the prediction failed: ${await response.text()}`);
    return (await response.json()) as [number, number];
  };
  const { value: probabilities, seconds } = await timed(ask());
  const [, risk] = probabilities;
  const { threshold } = spec.decision;
  say(
    `curl -s ${url}/risk-online-prediction -H 'content-type: application/json' -d '`,
    `  ${body}'`,
    `[${probabilities.join(', ')}]   in ${(1_000 * seconds).toFixed(1)} ms`,
    `The risk of default is ${(100 * risk).toFixed(1)} %; the manifest's threshold is ${100 * threshold} %: ` +
      `decision ${decide(risk, threshold)}.`,
  );
}

async function scoreSample(model: RiskModel, url: string, terminal: Terminal): Promise<Batch> {
  step(`Score ${formatCount(sample.rows)} applicants as a batch`);
  const { signal, stdout, env } = terminal;
  const { seconds: writing } = await timed(writeSample(dataDir));
  say(
    `generated ${sample.uri} in ${writing.toFixed(1)} s`,
    commandLine(['batch', 'submit', '--model', model.metadata.name, '--input', sample.uri, '--wait'], { url, env }),
  );
  const output = stdout.isTTY ? stdout : { write: (text: string) => stdout.write(`   ${text}`) };
  const client = new ApiClient(url, { signal });
  const submitted = await client.submitBatch({ model: model.metadata.name, input: sample.uri });
  const batch = await watchBatch(submitted, { client, output, env, signal });
  if (batch.state !== 'done') throw new CommandError(`the batch is ${batch.state}: ${batch.error?.message ?? ''}`);
  const seconds = batchSeconds(batch, new Date()) ?? 0;
  say(
    `${formatCount(batch.rows.done)} rows in ${seconds.toFixed(2)} s ` +
      `(${formatCount(Math.round(batch.rows.done / seconds))} rows/s), ${formatCount(batch.rows.failed)} rejected`,
    '',
    ...metricsLines(batch.metrics ?? []),
  );
  return batch;
}

async function showTables({ id, output }: Batch): Promise<void> {
  step('Look at the tables');
  const tables = { results: output.results, metrics: output.metrics };
  for (const [name, folder] of Object.entries(tables)) if (folder !== null) say(`${name}  ${shortPath(folder)}`);
  // Batches may have different columns.
  const results = `read_parquet('${shortPath(output.results as string)}/*.parquet', union_by_name = true)`;
  const columns = ['customer_id', 'LIMIT_BAL', 'PAY_0', 'target', 'prob_1', 'decision', 'pred_datetime'];
  const query = `SELECT ${columns.join(', ')} FROM ${results} WHERE batch_id = '${id}' ORDER BY record_index LIMIT 3`;
  const rows = await runQuery(query);
  say(
    '',
    ...textTable(
      columns.map((title) => ({ title, align: 'right' as const })),
      rows,
    ),
    '',
    'Any tool that reads Parquet will do; with DuckDB, for one:',
    `duckdb -c "SELECT decision, count(*), avg(target) FROM ${results} GROUP BY decision"`,
  );
}

async function runQuery(query: string): Promise<string[][]> {
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll(query);
    connection.closeSync();
    return reader
      .getRows()
      .map((row) => row.map((value) => (typeof value === 'number' ? formatValue(value) : String(value))));
  } finally {
    instance.closeSync();
  }
}

function formatValue(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(6);
}

await runScript(async (terminal) => {
  const startedAt = performance.now();
  const model = await readExample();
  const system = await start(model, terminal.signal);
  try {
    await predictOne(model, system.url);
    await showTables(await scoreSample(model, system.url, terminal));
  } finally {
    await system.stop();
  }
  console.log(`
Done in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s; everything is stopped again. What next:
  npm start
      the same, left running, with its pages at http://127.0.0.1:8080/docs
  npx riskmodel up -f ${shellWord(shortPath(exampleManifest))} --data ${shellWord(shortPath(dataDir))}
      the same by its manifest: copy that one for your own model
  npx riskmodel --help
      every command`);
  return 0;
});
