import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlowProducer } from 'bullmq';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { Engine } from '@riskmodel/core/columnar/engine.ts';
import { integerSetting, readConfig } from '@riskmodel/core/config.ts';
import { messageOf } from '@riskmodel/core/errors.ts';
import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import { readManifests } from '@riskmodel/core/riskmodel/read-manifests.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import { ParquetWarehouse } from '@riskmodel/core/warehouse/parquet.ts';
import { ModelCache } from './model-cache.ts';
import { startWorker } from './worker.ts';

/** Where batches are staged, as an object store's folder. */
const stagingUri = 'gs://riskmodel-staging';

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const concurrency = integerSetting(process.env, 'RISKMODEL_WORKER_CONCURRENCY', { fallback: 2, min: 1, max: 64 });
  const threads = integerSetting(process.env, 'RISKMODEL_WORKER_THREADS', { fallback: 2, min: 1, max: 64 });
  const memory = integerSetting(process.env, 'RISKMODEL_WORKER_MEMORY_MB', { fallback: 300, min: 64, max: 65_536 });
  const lockMs = integerSetting(process.env, 'RISKMODEL_WORKER_LOCK_MS', { fallback: 30_000, min: 500, max: 600_000 });
  const logger = makeLogger('queue-worker', config.logLevel);

  const manifests = await readManifests(config.manifests);
  const tempDir = await mkdtemp(join(tmpdir(), 'riskmodel-worker-'));
  const store = new FolderStore(join(config.dataDir, 'buckets'));
  const engine = await Engine.open({ threads, memoryLimit: memory * 1e6, tempDir });
  await mkdir(join(config.dataDir, 'warehouse'), { recursive: true });
  const warehouse = new ParquetWarehouse(join(config.dataDir, 'warehouse'), { store, engine });

  const onError = (error: Error): void => logger.warn({ err: error }, 'Redis is away; work goes on when it is back');
  const redis = connectRedis(config.redisUrl, 'worker', onError);
  const flows = new FlowProducer({ connection: redis, prefix: config.redisPrefix });
  const deps = {
    batches: new BatchStore(redis, config.redisPrefix),
    flows,
    store,
    warehouse,
    engine,
    models: new ModelCache(store),
    logger,
    now: () => new Date(),
    tempDir,
    stagingUri,
  };
  const options = { redis, prefix: config.redisPrefix, concurrency, lockMs };
  const workers = manifests.map((manifest) => startWorker(manifest, deps, options));
  // Loaded ahead of the first job; one that can't be loaded fails each batch with its reason.
  await Promise.allSettled(manifests.map((manifest) => deps.models.load(manifest)));
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  logger.info({ models: manifests.map(({ metadata }) => metadata.name), concurrency }, 'ready');

  let stopping = false;
  const stop = async (reason: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    logger.info({ reason }, 'stopping: finishing the jobs under way');
    await Promise.all(workers.map((worker) => worker.close()));
    await flows.close();
    redis.disconnect();
    engine.close();
    await rm(tempDir, { recursive: true, force: true });
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
}

main().catch((error: unknown) => {
  process.stderr.write(`riskmodel queue-worker: ${messageOf(error)}\n`);
  process.exitCode = 1;
});
