import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BigQuery } from '@google-cloud/bigquery';
import { PassThroughClient } from 'google-auth-library';
import { ServerProcess } from './cluster/server-process.ts';
import { stablePort } from '@riskmodel/core/testing/stable-port.ts';
import { ensurePython, type PythonEnvironment } from './python-environment.ts';

const sources = join(import.meta.dirname, 'bigquery-emulator');
const run = promisify(execFile);

/**
 * A BigQuery of a test's own: local-bigquery, over real HTTP, with its tables in a folder and its load jobs reading
 * from a Cloud Storage emulator. It keeps job ids through a kill, and a load that fails leaves its table as it was. It
 * knows no quotas, rate limits, IAM, cost, locations and ML functions.
 */
export class BigQueryEmulator {
  readonly url: string;
  readonly project = 'local';
  readonly client: BigQuery;
  readonly #folder: string;
  readonly #server: ServerProcess;

  private constructor(url: string, folder: string, server: ServerProcess) {
    this.url = url;
    this.client = new BigQuery({ projectId: this.project, apiEndpoint: url, authClient: new PassThroughClient() });
    this.#folder = folder;
    this.#server = server;
  }

  /** @param storageUrl the Cloud Storage emulator from which load jobs read */
  static async start(storageUrl: string): Promise<BigQueryEmulator> {
    const { python, home } = await ensureEmulator();
    const folder = await mkdtemp(join(tmpdir(), 'riskmodel-bigquery-'));
    const port = await stablePort('127.0.0.1');
    const url = `http://127.0.0.1:${port}`;
    const server = new ServerProcess({
      name: 'local-bigquery',
      command: python,
      args: [
        join(sources, 'launch.py'),
        'serve',
        '--host=127.0.0.1',
        `--port=${port}`,
        `--grpc-port=${await stablePort('127.0.0.1')}`,
        `--data-dir=${join(folder, 'data')}`,
        '--project=local',
      ],
      env: { HOME: home, STORAGE_EMULATOR_HOST: storageUrl },
      logFile: join(folder, 'log'),
      isReady: async () => (await fetch(`${url}/bigquery/v2/projects/local/datasets`)).ok,
    });
    await server.start();
    return new BigQueryEmulator(url, folder, server);
  }

  async createDataset(name: string): Promise<void> {
    await this.client.createDataset(name);
  }

  /** Kills the server and starts it again, as a service that fails and comes back. */
  async restart(): Promise<void> {
    await this.#server.kill();
    await this.#server.start();
  }

  async stop(): Promise<void> {
    await this.#server.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Why there is no BigQuery emulator on this machine, in one line; undefined when there is. Installs it when need be. */
export async function whyNoBigQuery(): Promise<string | undefined> {
  try {
    await ensureEmulator();
    return undefined;
  } catch (error) {
    return `the BigQuery emulator can't be had: ${(error as Error).message.split('\n')[0]}`;
  }
}

/** local-bigquery in a Python of its own, with DuckDB's extensions, which it would else fetch at its start. */
function ensureEmulator(): Promise<PythonEnvironment> {
  return ensurePython({
    name: 'local-bigquery',
    requirements: join(sources, 'requirements.txt'),
    version: '3.13',
    notice: 'installing the BigQuery emulator, which takes about half a minute',
    async prepare({ python, home }) {
      const imports =
        'from duckdb_extensions import import_extension\n' +
        'for name in ("ducklake", "icu", "json", "parquet", "httpfs", "spatial", "fts"): import_extension(name)';
      await run(python, ['-c', imports], { env: { ...process.env, HOME: home } });
    },
  });
}
