import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { FlowProducer, type Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { openStore, openWarehouse, stagingUriOf } from '@riskmodel/core/backend/open-backend.ts';
import { readBackendSettings, type BackendSettings } from '@riskmodel/core/backend/settings.ts';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { openQueue, queuePlanning } from '@riskmodel/core/batches/queue.ts';
import { syncSchedules } from '@riskmodel/core/batches/schedules.ts';
import { TriggerRegistry } from '@riskmodel/core/batches/trigger-registry.ts';
import { triggerRulesOf } from '@riskmodel/core/batches/triggers.ts';
import { Engine } from '@riskmodel/core/columnar/engine.ts';
import { integerSetting, oneOf, readConfig, type Config } from '@riskmodel/core/config.ts';
import { FeatureTable, featureKeyPrefix } from '@riskmodel/core/lookup/feature-table.ts';
import { PredictionTable } from '@riskmodel/core/lookup/prediction-table.ts';
import { SessionThread } from '@riskmodel/core/model/session-thread.ts';
import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { readManifests } from '@riskmodel/core/riskmodel/manifest-files.ts';
import { collectStartGarbage } from '@riskmodel/core/start-garbage.ts';
import { HealthServer } from '@riskmodel/core/telemetry/health-server.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import { ModelCache } from './model-cache.ts';
import type { WorkerDeps } from './processors.ts';
import { makeTempFolder } from './temp-folder.ts';
import { makeWorkerMetrics } from './telemetry/metrics.ts';
import { startWorker } from './worker.ts';

/** The newest batches among which a worker that starts looks for such that nobody has queued. */
const mostOrphans = 1_000;

export interface QueueWorkerSettings extends Config {
  backend: BackendSettings;
  /** Jobs under way at once (`RISKMODEL_WORKER_CONCURRENCY`). */
  concurrency: number;
  /** Threads that read and write columns (`RISKMODEL_WORKER_THREADS`). */
  threads: number;
  /** Megabytes that reading and writing may take before they go to disk (`RISKMODEL_WORKER_MEMORY_MB`). */
  memoryMb: number;
  /** Milliseconds of silence after which another worker takes a job over (`RISKMODEL_WORKER_LOCK_MS`). */
  lockMs: number;
  /** Whether the worker sets the models' schedules and triggers (`RISKMODEL_SCHEDULES`: `worker`, the default, or `operator`). */
  setsSchedules: boolean;
  /** Probes and metrics (`RISKMODEL_WORKER_PORT`); absent: none. */
  port: number | undefined;
  /** Seconds that jobs under way may take to finish when the worker is to stop (`RISKMODEL_SHUTDOWN_GRACE`). */
  shutdownGraceSeconds: number;
}

/** Throws `InvalidConfig`, naming the variable. */
export function readSettings(env: NodeJS.ProcessEnv): QueueWorkerSettings {
  return {
    ...readConfig(env),
    backend: readBackendSettings(env),
    concurrency: integerSetting(env, 'RISKMODEL_WORKER_CONCURRENCY', { fallback: 2, min: 1, max: 64 }),
    // Chunks that are under way at once keep the cores busy; two threads for one mostly wait for each other.
    threads: integerSetting(env, 'RISKMODEL_WORKER_THREADS', { fallback: 1, min: 1, max: 64 }),
    memoryMb: integerSetting(env, 'RISKMODEL_WORKER_MEMORY_MB', { fallback: 300, min: 64, max: 65_536 }),
    lockMs: integerSetting(env, 'RISKMODEL_WORKER_LOCK_MS', { fallback: 30_000, min: 500, max: 600_000 }),
    setsSchedules: oneOf(env, 'RISKMODEL_SCHEDULES', ['worker', 'operator'], 'worker') === 'worker',
    port: env['RISKMODEL_WORKER_PORT']
      ? integerSetting(env, 'RISKMODEL_WORKER_PORT', { fallback: 0, min: 0, max: 65_535 })
      : undefined,
    shutdownGraceSeconds: integerSetting(env, 'RISKMODEL_SHUTDOWN_GRACE', { fallback: 25, min: 0, max: 3_600 }),
  };
}

/** A queue-worker that takes jobs. */
export interface QueueWorker {
  /** Takes no new jobs, lets those under way finish, and lets go of everything. */
  stop(): Promise<void>;
}

/**
 * Takes the jobs of every manifest's queue.
 * @param customise stands something else in for a part of the worker; tests make parts fail with it
 */
export async function startQueueWorker(
  settings: QueueWorkerSettings,
  customise: (deps: WorkerDeps) => WorkerDeps = (deps) => deps,
): Promise<QueueWorker> {
  const logger = makeLogger('queue-worker', settings.logLevel);
  // The first thing, so that it loads what it needs beside what is loaded here.
  const scoring = new SessionThread();
  const manifests = await readManifests(settings.manifests);
  const tempDir = await makeTempFolder(tmpdir());
  const store = await openStore(settings.backend, tempDir);
  const engine = await Engine.open({ threads: settings.threads, memoryLimit: settings.memoryMb * 1e6, tempDir });
  const metrics = makeWorkerMetrics();
  const warehouse = await openWarehouse(settings.backend, store, (model, bytes) => metrics.onBytesBilled(model, bytes));

  for (const { metadata } of manifests) metrics.addModel(metadata.name);
  let notReady: string | undefined = 'starting';
  const health = await serveHealth(settings.port, metrics.registry, () => notReady);

  const redis = connectRedis(
    settings.redisUrl,
    'worker',
    (err) => logger.warn({ err }, 'Redis is away; work goes on when it is back'),
    () => logger.info('Redis is back'),
  );
  const flows = new FlowProducer({ connection: redis, prefix: settings.redisPrefix });
  flows.on('error', () => {});
  const deps = customise({
    batches: new BatchStore(redis, settings.redisPrefix),
    flows,
    store,
    warehouse,
    engine,
    models: new ModelCache(store, scoring.open),
    predictions: new PredictionTable(redis, settings.redisPrefix),
    openFeatures: (manifest) => {
      const keyPrefix = featureKeyPrefix(manifest, settings.redisPrefix);
      return keyPrefix === undefined ? undefined : new FeatureTable(redis, keyPrefix);
    },
    logger,
    metrics,
    now: () => new Date(),
    tempDir,
    stagingUri: stagingUriOf(settings.backend),
  });
  const options = { redis, prefix: settings.redisPrefix, concurrency: settings.concurrency, lockMs: settings.lockMs };
  const workers = manifests.map((manifest) => startWorker(manifest, deps, options));
  // Loaded ahead of the first job; one that can't be loaded fails each batch with its reason.
  await Promise.allSettled(manifests.map((manifest) => deps.models.load(manifest)));
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  await Promise.all(manifests.map((manifest) => tidyQueue(manifest, settings, redis)));
  notReady = undefined;
  logger.info({ models: manifests.map(({ metadata }) => metadata.name) }, 'ready');
  collectStartGarbage();

  return {
    stop: async () => {
      notReady = 'stopping';
      logger.info('stopping: finishing the jobs under way');
      const finished = Promise.all(workers.map((worker) => worker.close())).then(() => flows.close());
      // With Redis away nothing can be told finished; what is left undone another worker takes over.
      await Promise.race([finished, sleep(settings.shutdownGraceSeconds * 1_000, undefined, { ref: false })]);
      redis.disconnect();
      await health?.close();
      await scoring.close();
      engine.close();
      await rm(tempDir, { recursive: true, force: true });
    },
  };
}

/** Answers probes and scrapes where a port is given: a worker on a developer's machine needs none. */
async function serveHealth(
  port: number | undefined,
  registry: Registry,
  notReady: () => string | undefined,
): Promise<HealthServer | undefined> {
  if (port === undefined) return undefined;
  const health = new HealthServer({ registry, live: {}, ready: { worker: notReady }, port });
  await health.listen();
  return health;
}

/** Puts a model's queue in order: what was left out of it, and, unless somebody else sees to that, its schedules and triggers. */
async function tidyQueue(
  { metadata, spec }: RiskModel,
  { redisPrefix, setsSchedules }: QueueWorkerSettings,
  redis: Redis,
): Promise<void> {
  const queue = openQueue(metadata.name, redis, redisPrefix);
  try {
    await queueOrphans(metadata.name, queue, new BatchStore(redis, redisPrefix));
    if (!setsSchedules) return;
    await syncSchedules(queue, spec.batch.schedules, () => new Date());
    await new TriggerRegistry(redis, redisPrefix).set(metadata.name, triggerRulesOf(spec));
  } finally {
    await queue.close();
  }
}

/** A server that was killed between recording a batch and queueing it has left it with nobody who will plan it. */
async function queueOrphans(model: string, queue: Queue, batches: BatchStore): Promise<void> {
  const recent = await batches.list({ model, limit: mostOrphans });
  for (const { id, state } of recent) if (state === 'queued') await queuePlanning(id, queue);
}
