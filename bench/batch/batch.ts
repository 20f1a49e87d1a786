import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureRedis } from '../../cli/src/local-redis.ts';
import { writeApplicants } from '../../test/harness/applicants.ts';
import { LocalSystem } from '../../test/harness/local-system.ts';
import { spreadOf, type Spread } from '../median.ts';
import { peerPython } from '../peers/peers.ts';
import { podEnv } from '../pod-env.ts';
import { prepareWorkbench, type Workbench } from '../workbench.ts';

const cores = availableParallelism();

export const batchFormats = ['parquet', 'csv', 'ndjson'] as const;
export type BatchFormat = (typeof batchFormats)[number];

export interface BatchOptions {
  rows: number;
  formats: readonly BatchFormat[];
  /** Worker processes that share the file. */
  workers: number;
  rounds: number;
  /** Measures the scripts of the Python world as well. */
  withPeers: boolean;
  log: (line: string) => void;
}

/** Its rates are rows a second, from being submitted to being in the warehouse. */
export interface BatchRow extends Spread {
  name: string;
  format: BatchFormat;
  rows: number;
  /** The most memory that one process had in any round. */
  peakBytes: number;
}

interface Measured {
  rate: number;
  peakBytes: number;
}

interface Contender {
  name: string;
  run: (uri: string) => Promise<Measured>;
}

/** How fast workers bring a file of applicants into a warehouse of Parquet files. */
export async function benchBatch(options: BatchOptions): Promise<BatchRow[]> {
  const { rows, formats, workers, rounds, withPeers, log } = options;
  const redis = await ensureRedis({ env: process.env, log });
  const system = await LocalSystem.start({ redisUrl: redis.url });
  try {
    const bench = await prepareWorkbench({
      folder: system.folder,
      redisUrl: redis.url,
      ...(withPeers && { train: { python: await peerPython('fastapi'), trees: 20, depth: 3 } }),
    });
    const contenders: Contender[] = [
      {
        name: workers === 1 ? 'riskmodel, one worker' : `riskmodel, ${workers} workers`,
        run: (uri) => measure(system, bench.manifest, uri, rows, workers),
      },
      ...(withPeers ? await batchPeers(system, bench, rows) : []),
    ];
    const uriOf = (format: BatchFormat): string => `gs://inputs/applicants.${format}`;
    for (const format of formats) await writeApplicants({ rows, seed: 21, out: system.pathOf(uriOf(format)) });
    const found = contenders.flatMap(({ name, run }) =>
      formats.map((format) => ({ name, run, format, results: [] as Measured[] })),
    );
    for (let round = 1; round <= rounds; round++) {
      for (const { name, run, format, results } of found) {
        const result = await run(uriOf(format));
        results.push(result);
        log(`round ${round}: ${name}, ${format}: ${Math.round(result.rate).toLocaleString('en')} rows/s`);
      }
    }
    return found.map(({ name, format, results }) => ({
      name,
      format,
      rows,
      ...spreadOf(results.map(({ rate }) => rate)),
      peakBytes: Math.max(...results.map(({ peakBytes }) => peakBytes)),
    }));
  } finally {
    await system.stop();
    await redis.stop();
  }
}

/** Scripts that read a file, score it and write Parquet, on all cores. */
async function batchPeers(system: LocalSystem, bench: Workbench, rows: number): Promise<Contender[]> {
  const scripts = [
    { name: 'polars + onnxruntime', environment: 'polars', file: 'polars_onnx.py', model: bench.artifact },
    { name: 'pandas + XGBoost', environment: 'fastapi', file: 'pandas_xgboost.py', model: bench.xgboostModel },
  ];
  const contenders: Contender[] = [];
  for (const { name, environment, file, model } of scripts) {
    const python = await peerPython(environment);
    const script = join(import.meta.dirname, '..', 'peers', file);
    contenders.push({
      name,
      async run(uri) {
        const out = join(system.folder, 'peer.parquet');
        const args = [script, model, JSON.stringify(bench.features), system.pathOf(uri), out, String(cores)];
        const { stdout } = await promisify(execFile)(python, args);
        const { seconds, peakBytes } = JSON.parse(stdout) as { seconds: number; peakBytes: number };
        const [results] = await system.query(`SELECT count(*)::INTEGER AS n FROM '${out}'`);
        if (results?.['n'] !== rows) throw new Error(`${name} wrote ${JSON.stringify(results)} rows`);
        return { rate: rows / seconds, peakBytes };
      },
    });
  }
  return contenders;
}

async function measure(
  system: LocalSystem,
  manifest: string,
  uri: string,
  rows: number,
  count: number,
): Promise<Measured> {
  const env = { RISKMODEL_MANIFESTS: manifest, ...podEnv };
  const workers = await Promise.all(Array.from({ length: count }, () => system.startWorker(env)));
  const started = performance.now();
  const { id } = await system.submit(uri);
  const batch = await system.waitForEnd(id, 600_000);
  const seconds = (performance.now() - started) / 1_000;
  const peakBytes = Math.max(...workers.map((worker) => worker.peakMemory()));
  await Promise.all(workers.map((worker) => worker.stop()));
  if (batch.state !== 'done' || batch.rows.done !== rows)
    throw new Error(`the batch ended as ${JSON.stringify(batch)}`);
  const [results] = await system.query(
    `SELECT count(*)::INTEGER AS n, count(DISTINCT record_index)::INTEGER AS records FROM ${system.table('results')} WHERE batch_id = '${id}'`,
  );
  if (results?.['n'] !== rows || results['records'] !== rows)
    throw new Error(`rows are missing: ${JSON.stringify(results)}`);
  return { rate: rows / seconds, peakBytes };
}
