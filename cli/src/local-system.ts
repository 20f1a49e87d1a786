import { createHash } from 'node:crypto';
import { mkdir, realpath, rename, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readManifests } from '@riskmodel/core/riskmodel/manifest-files.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { lockDataDir } from './data-dir-lock.ts';
import { CommandError } from './errors.ts';
import { freePort, isPortFree } from '@riskmodel/core/free-port.ts';
import { ensureRedis } from './local-redis.ts';
import { ManagedProgram } from './managed-program.ts';
import { assertArtifactExists } from './manifests.ts';
import { aborted } from './shutdown-signal.ts';

const programFiles = {
  server: fileURLToPath(new URL('../../server/src/main.ts', import.meta.url)),
  queueWorker: fileURLToPath(new URL('../../queue-worker/src/main.ts', import.meta.url)),
};

/** Loading and warming up a model takes seconds; a minute and a half is for slow disks. */
const readyTimeoutMs = 90_000;
/** Requests in flight are answered, and chunks under way finished, within this time. */
const stopGraceMs = 30_000;
/** Without Redis there is nothing to finish: who waits for it now waits for nothing, and is killed without a loss. */
const withoutRedisGraceMs = 3_000;
const keepLogBytes = 10 << 20;

export interface LocalSystemOptions {
  /** Paths of manifest files. */
  manifests: string[];
  /** The folder for buckets, tables, queues and logs; made when there is none. */
  dataDir: string;
  host: string;
  /** 0 is any free port. */
  port: number;
  /** Number of queue-workers. */
  workers: number;
  /** The model of `POST /risk-online-prediction`; needed when several are served. */
  defaultModel?: string | undefined;
  env: NodeJS.ProcessEnv;
  /** Told, in whole lines, what goes on. */
  log: (line: string) => void;
  /** Aborted when the start is to be given up. */
  signal: AbortSignal;
}

/** Server, queue-workers and Redis of one data folder, running on this machine. */
export interface LocalSystem {
  /** The server's base URL. */
  url: string;
  /** Absolute path. */
  dataDir: string;
  models: RiskModel[];
  /** Resolves, with what went wrong, when a part has ended for good. */
  failed: Promise<Error>;
  /** Drains the server, lets the workers finish, stops a private Redis, gives up the data folder. */
  stop(): Promise<void>;
}

/**
 * Starts everything that serves the manifests and waits until the models answer. Whatever was started is stopped again
 * when a part of it fails, and ends with this process in any case.
 *
 * @throws ManifestError with every problem of the manifests; CommandError in one line, or with the last lines of the log of the program that failed
 */
export async function startSystem(options: LocalSystemOptions): Promise<LocalSystem> {
  const { env, log, host, signal } = options;
  const dataDir = resolve(options.dataDir);
  const models = await readManifests(options.manifests);
  const running: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const stopPart of running.splice(0).toReversed()) await stopPart();
  };
  try {
    await makeFolders(dataDir);
    running.push(await lockDataDir(dataDir));
    for (const model of models) await assertArtifactExists(model, dataDir);
    const port = await choosePort(options.port, host);

    const redis = await ensureRedis({ dataDir, env, log });
    running.push(() => redis.stop());
    let graceMs = stopGraceMs;
    void redis.failed.then(() => (graceMs = withoutRedisGraceMs));

    const programEnv = {
      // Google's libraries look for a metadata server, which no machine outside of its cloud has.
      METADATA_SERVER_DETECTION: 'none',
      // A second start takes two thirds of the time of the first, in which Node compiles.
      NODE_COMPILE_CACHE: join(dataDir, 'compile-cache'),
      RISKMODEL_REDIS_PREFIX: redis.isPrivate ? 'riskmodel' : await prefixOf(dataDir),
      ...env,
      REDIS_URL: redis.url,
      RISKMODEL_MANIFESTS: options.manifests.map((file) => resolve(file)).join(','),
      RISKMODEL_DATA: dataDir,
      ...(options.defaultModel !== undefined && { RISKMODEL_DEFAULT_MODEL: options.defaultModel }),
    };
    const workers = Array.from({ length: options.workers }, (_, i) => {
      const name = options.workers === 1 ? 'worker' : `worker-${i + 1}`;
      return new ManagedProgram({
        name: `queue-${name}`,
        file: programFiles.queueWorker,
        env: programEnv,
        logFile: join(dataDir, 'logs', `${name}.log`),
        log,
      });
    });
    const server = new ManagedProgram({
      name: 'server',
      file: programFiles.server,
      env: { ...programEnv, HOST: host, PORT: String(port) },
      logFile: join(dataDir, 'logs', 'server.log'),
      log,
    });
    // Stopped in reverse: the server first, so that nothing is promised that nobody does.
    running.push(async () => void (await Promise.all(workers.map((worker) => worker.stop(graceMs)))));
    running.push(() => server.stop(graceMs));
    const programs = [...workers, server];
    for (const program of programs) {
      await keepLogSmall(program.logFile);
      program.start();
    }

    const failed = Promise.race([redis.failed, ...programs.map((program) => program.failed)]);
    const url = `http://${hostInUrl(host)}:${port}`;
    await waitUntilReady(url, failed, log, signal);
    for (const program of programs) program.keepRunning();
    return { url, dataDir, models, failed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function makeFolders(dataDir: string): Promise<void> {
  for (const folder of ['buckets', 'warehouse', 'logs']) await mkdir(join(dataDir, folder), { recursive: true });
}

async function choosePort(port: number, host: string): Promise<number> {
  if (port === 0) return freePort(host);
  if (await isPortFree(port, host)) return port;
  throw new CommandError(`port ${port} is in use: stop what listens there, or choose another with --port`);
}

/** Systems of several data folders may share a Redis that REDIS_URL names; their queues must not. */
async function prefixOf(dataDir: string): Promise<string> {
  const digest = createHash('sha256').update(await realpath(dataDir));
  return `riskmodel-${digest.digest('hex').slice(0, 8)}`;
}

async function keepLogSmall(logFile: string): Promise<void> {
  const { size } = await stat(logFile).catch(() => ({ size: 0 }));
  if (size > keepLogBytes) await rename(logFile, `${logFile}.old`);
}

/** The host as a URL has it; a server that listens everywhere is reached at the loopback address. */
function hostInUrl(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

async function waitUntilReady(
  url: string,
  failed: Promise<Error>,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const failure = failed.then((error) => Promise.reject(error));
  const interrupted = aborted(signal).then(() => Promise.reject(new CommandError('stopped before it was ready')));
  try {
    await Promise.race([failure, interrupted, pollReadiness(url, log, done.signal)]);
  } finally {
    done.abort();
  }
}

async function pollReadiness(url: string, log: (line: string) => void, signal: AbortSignal): Promise<void> {
  const startedAt = Date.now();
  let reason = 'the server does not answer yet';
  let loggedAt = startedAt;
  while (!signal.aborted) {
    try {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) });
      const answer = (await response.json()) as { reason?: string };
      if (response.ok) return;
      reason = answer.reason ?? `it answers ${response.status}`;
    } catch {
      // It is not listening yet.
    }
    if (Date.now() - startedAt > readyTimeoutMs) {
      throw new CommandError(`the server is not ready after ${readyTimeoutMs / 1_000} s: ${reason}`);
    }
    if (Date.now() - loggedAt > 5_000) {
      loggedAt = Date.now();
      log(`Not ready yet: ${reason}`);
    }
    await sleep(50);
  }
}
