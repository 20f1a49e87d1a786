import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UnrecoverableError, type FlowProducer, type Job, type Queue } from 'bullmq';
import type { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import {
  commitJobOptions,
  jobOptions,
  queueName,
  type BatchJobName,
  type JobName,
  type PlanJob,
} from '@riskmodel/core/batches/queue.ts';
import { dueTime, startScheduledBatch, type ScheduleJob } from '@riskmodel/core/batches/schedules.ts';
import type { Engine } from '@riskmodel/core/columnar/engine.ts';
import { RiskModelError, mayPass, messageOf } from '@riskmodel/core/errors.ts';
import type { PredictionTable } from '@riskmodel/core/lookup/prediction-table.ts';
import type { Model } from '@riskmodel/core/model/model.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { Warehouse } from '@riskmodel/core/warehouse/warehouse.ts';
import { commitBatch, prepareTables, removeStaged, TooManyRejectsError } from './commit/commit-batch.ts';
import { checkFeatures } from './features-loading/check-features.ts';
import { requireFeatureStore, type OpenFeatureTable } from './features-loading/load-features.ts';
import { commitTable, planTable } from './in-warehouse/score-table.ts';
import { planInput, type ChunkRange } from './input/plan-input.ts';
import type { ModelCache } from './model-cache.ts';
import { fingerprint, matchColumns, matchFeatureColumns, type BatchPlan } from './plan.ts';
import { scoreChunk, type ChunkResult } from './scoring/score-chunk.ts';
import type { WorkerMetrics } from './telemetry/metrics.ts';

/** Everything the processors reach outside of themselves. */
export interface WorkerDeps {
  batches: BatchStore;
  flows: FlowProducer;
  store: ObjectStore;
  warehouse: Warehouse;
  engine: Engine;
  models: ModelCache;
  predictions: Pick<PredictionTable, 'write'>;
  openFeatures: OpenFeatureTable;
  logger: Logger;
  metrics: WorkerMetrics;
  now: () => Date;
  /** A folder on this machine for files that live as long as a job. */
  tempDir: string;
  /** `gs://BUCKET` or a folder in one, where batches are staged. */
  stagingUri: string;
}

interface ChunkJob {
  batchId: string;
  chunk: ChunkRange;
}

interface CommitJob {
  batchId: string;
}

/**
 * The three kinds of job that a batch consists of, and the one that starts a batch by the clock. Each may run twice, or
 * be cut short anywhere: it looks at the batch's record first, does nothing for a batch that has ended, and comes to the
 * same result as the last time.
 */
export class Processors {
  readonly #deps: WorkerDeps;
  readonly #manifest: RiskModel;
  readonly #queue: Queue;

  /** @param queue the model's, for batches that start by the clock */
  constructor(manifest: RiskModel, queue: Queue, deps: WorkerDeps) {
    this.#manifest = manifest;
    this.#queue = queue;
    this.#deps = deps;
  }

  /** BullMQ's processor: runs a job by its name. What it returns is the job's result. */
  async process(job: Job): Promise<ChunkResult | undefined> {
    const name = job.name as JobName;
    const started = performance.now();
    let hasFailed = true;
    try {
      const result = await this.#processByName(name, job);
      hasFailed = false;
      return result;
    } finally {
      this.#deps.metrics.onJob(this.#model, name, (performance.now() - started) / 1_000, hasFailed);
    }
  }

  async #processByName(name: JobName, job: Job): Promise<ChunkResult | undefined> {
    if (name === 'schedule') {
      await this.#startScheduled(job as Job<ScheduleJob>);
      return undefined;
    }
    return this.#processOfBatch(name, job);
  }

  get #model(): string {
    return this.#manifest.metadata.name;
  }

  async #processOfBatch(name: BatchJobName, job: Job): Promise<ChunkResult | undefined> {
    const { batchId } = job.data as PlanJob;
    try {
      switch (name) {
        case 'plan':
          await this.#plan(job as Job<PlanJob>);
          return undefined;
        case 'chunk':
          return await this.#chunk(job.data as ChunkJob);
        case 'commit':
          await this.#commit(job as Job<CommitJob>);
          return undefined;
      }
    } catch (error) {
      const lastAttempt = job.attemptsMade + 1 >= mostAttempts(job, error);
      this.#deps.logger.warn(
        { err: error, batchId, job: name, attempt: job.attemptsMade + 1 },
        'a job of a batch failed',
      );
      if (mayPass(error) && !lastAttempt) throw error;
      await this.fail(batchId, error);
      // Other chunks may be under way still; the commit job, which runs when they have ended, cleans up after them.
      if (name !== 'chunk') await this.#removeStaged(batchId, job);
      throw new UnrecoverableError(messageOf(error));
    }
  }

  /** Ends a batch for good, unless it has ended or is in the warehouse. */
  async fail(batchId: string, error: unknown): Promise<void> {
    const code = error instanceof RiskModelError ? error.code : 'InternalError';
    const failed = await this.#deps.batches.transition(
      batchId,
      ['queued', 'planning', 'scoring', 'committing'],
      'failed',
      {
        error: { code, message: messageOf(error) },
        ...(error instanceof TooManyRejectsError ? error.update : {}),
        finishedAt: this.#deps.now().toISOString(),
      },
    );
    if (!failed) return;
    this.#deps.metrics.onBatchFailed(this.#model, code);
    this.#deps.logger.error({ batchId, code, reason: messageOf(error) }, 'batch failed');
  }

  async #startScheduled(job: Job<ScheduleJob>): Promise<void> {
    const { batches, logger, now } = this.#deps;
    const { schedule } = job.data;
    const due = dueTime(job);
    try {
      const deps = { store: batches, queue: this.#queue, now };
      const { id, input } = await startScheduledBatch(this.#manifest.metadata.name, job.data, due, deps);
      logger.info({ batchId: id, schedule, due, input }, 'batch started by its schedule');
    } catch (error) {
      logger.warn({ err: error, schedule, due, attempt: job.attemptsMade + 1 }, 'a scheduled batch did not start');
      throw mayPass(error) ? error : new UnrecoverableError(messageOf(error));
    }
  }

  async #plan(job: Job<PlanJob>): Promise<void> {
    const { batches, models, warehouse, logger } = this.#deps;
    const { batchId } = job.data;
    const startedAt = this.#deps.now().toISOString();
    await batches.transition(batchId, ['queued'], 'planning', { startedAt });
    const batch = await batches.get(batchId);
    if (batch === undefined) return;
    if (isFinal(batch.state)) {
      // A batch of one chunk that this job has brought to its end may have been cut short before it cleaned up.
      await this.#removeStaged(batchId, job);
      return;
    }
    if (batch.state === 'planning') {
      if (batch.action === 'LoadFeatures') requireFeatureStore(this.#manifest, this.#deps.openFeatures);
      const model = await models.load(this.#manifest);
      const { sha256 } = model;
      const manifest: RiskModel = {
        ...this.#manifest,
        spec: { ...this.#manifest.spec, artifact: { ...this.#manifest.spec.artifact, sha256 } },
      };
      const predDatetime = batch.startedAt ?? startedAt;
      const plan = await (manifest.spec.batch.engine === 'BigQueryML' && batch.action !== 'LoadFeatures'
        ? this.#planTable(batch, manifest, model, predDatetime)
        : this.#planFile(batch, manifest, model, predDatetime));
      const { input } = plan;
      await prepareTables(plan, warehouse);
      await batches.transition(batchId, ['planning'], 'scoring', { total: input.records, plan });
      logger.info({ batchId, rows: input.records, chunks: input.chunks.length, format: input.format }, 'batch planned');
    }
    // The plan that counts is the one on record: of two that were made at once, one was kept.
    const plan = await batches.plan<BatchPlan>(batchId);
    if (plan === undefined) return;
    const [chunk, ...others] = plan.input.chunks;
    if (chunk !== undefined && others.length === 0) await this.#scoreAndCommit(plan, chunk, job);
    else await this.#enqueueCommit(batchId, plan.input.chunks);
  }

  async #planFile(batch: Batch, manifest: RiskModel, model: Model, predDatetime: string): Promise<BatchPlan> {
    const { store, engine, stagingUri } = this.#deps;
    await this.#assertVersion(batch);
    const input = await this.#inTempDir((tempDir) =>
      planInput(batch.input, {
        format: batch.format,
        store,
        engine,
        tempDir,
        chunkRows: manifest.spec.batch.chunkRows,
        stagingUri: `${stagingUri}/${batch.id}`,
        optionalColumns: batch.action === 'LoadFeatures' ? identifiers(manifest) : optionalColumns(manifest),
      }),
    );
    // Asked before and after, the same answer holds in between, when the input was looked through.
    await this.#assertVersion(batch);
    const match = batch.action === 'LoadFeatures' ? matchFeatureColumns : matchColumns;
    return {
      manifest,
      ...(batch.action === 'LoadFeatures' && { action: batch.action }),
      modelVersion: model.version,
      modelSha256: model.sha256,
      input,
      columns: match(manifest, input.columns),
      predDatetime,
      stagingUri: `${stagingUri}/${batch.id}/${fingerprint(manifest.spec, input, predDatetime)}`,
    };
  }

  #planTable(batch: Batch, manifest: RiskModel, model: Model, predDatetime: string): Promise<BatchPlan> {
    const { store, warehouse } = this.#deps;
    const stagingUri = `${this.#deps.stagingUri}/${batch.id}`;
    const described = { batchId: batch.id, uri: batch.input, manifest, model, predDatetime, stagingUri };
    return this.#inTempDir((tempDir) => planTable(described, { warehouse, store, tempDir }));
  }

  /** A batch of one version of an object has nothing to do with the next one, which has a batch of its own. */
  async #assertVersion({ input, generation }: Batch): Promise<void> {
    if (generation === undefined) return;
    const current = await this.#deps.store.stat(input);
    if (current?.generation === generation) return;
    throw new RiskModelError(
      'InputChanged',
      `${input} was ${current === undefined ? 'deleted' : 'overwritten'} before its version ${generation} was scored: nothing was written${current === undefined ? '' : '; the newer version has a batch of its own'}`,
    );
  }

  /**
   * Queues the commit, and the chunks that it waits for. One transaction: either the whole flow is queued or nothing. Job
   * ids keep it from being queued twice.
   */
  async #enqueueCommit(batchId: string, chunks: readonly ChunkRange[]): Promise<void> {
    const queue = queueName(this.#manifest.metadata.name);
    await this.#deps.flows.add({
      name: 'commit' satisfies JobName,
      queueName: queue,
      data: { batchId } satisfies CommitJob,
      opts: { ...commitJobOptions, jobId: `${batchId}.commit` },
      children: chunks.map((chunk) => ({
        name: 'chunk' satisfies JobName,
        queueName: queue,
        data: { batchId, chunk } satisfies ChunkJob,
        // A chunk that ends badly has failed the batch in its record; the commit job still runs, and cleans up.
        opts: { ...jobOptions, jobId: `${batchId}.chunk.${chunk.index}`, ignoreDependencyOnFailure: true },
      })),
    });
  }

  async #chunk({ batchId, chunk }: ChunkJob): Promise<ChunkResult | undefined> {
    const { batches } = this.#deps;
    const [state, plan] = await Promise.all([batches.state(batchId), batches.plan<BatchPlan>(batchId)]);
    return state === 'scoring' && plan !== undefined ? this.#score(batchId, plan, chunk) : undefined;
  }

  /**
   * Does all of a batch of one chunk in the job that planned it: nobody else could take a part of it, and for few rows
   * two more jobs are most of the work. What the chunk came to is on record from the moment on at which the commit
   * begins, so that a commit that was cut short is made again without the input, which may have changed by then.
   */
  async #scoreAndCommit(plan: BatchPlan, chunk: ChunkRange, job: Job<PlanJob>): Promise<void> {
    const { batches, logger } = this.#deps;
    const { batchId } = job.data;
    if ((await batches.state(batchId)) === 'scoring') {
      const scored = [await this.#score(batchId, plan, chunk)];
      await batches.transition(batchId, ['scoring'], 'committing', { scored });
    }
    try {
      await this.#commitScored(batchId, plan, await batches.scored<ChunkResult>(batchId));
    } catch (error) {
      if (!mayPass(error)) throw error;
      // A commit has a patience of its own.
      logger.warn({ err: error, batchId }, 'a batch could not be committed at once; trying again');
      await this.#enqueueCommit(batchId, []);
      return;
    }
    await this.#removeStaged(batchId, job);
  }

  async #score(batchId: string, plan: BatchPlan, chunk: ChunkRange): Promise<ChunkResult> {
    const { batches, models, store, engine, logger } = this.#deps;
    const result = await this.#inTempDir(async (tempDir) => {
      const tools = { store, engine, tempDir };
      if (plan.action === 'LoadFeatures') return checkFeatures(batchId, plan, chunk, tools);
      return scoreChunk(batchId, plan, chunk, await models.load(plan.manifest), tools);
    });
    await batches.recordChunk(batchId, chunk.index, { done: result.accepted, failed: result.rejected });
    logger.debug({ batchId, chunk: chunk.index, rows: result.accepted }, 'chunk scored');
    return result;
  }

  async #commit(job: Job<CommitJob>): Promise<void> {
    const { batches } = this.#deps;
    const { batchId } = job.data;
    const plan = await batches.plan<BatchPlan>(batchId);
    await batches.transition(batchId, ['scoring'], 'committing');
    if (plan !== undefined) await this.#commitScored(batchId, plan, await this.#scoredChunks(job));
    await this.#removeStaged(batchId, job);
  }

  /** What the batch's chunks came to, by the record of a batch of one chunk or by the jobs of several. */
  async #scoredChunks(job: Job<CommitJob>): Promise<ChunkResult[]> {
    const scored = await this.#deps.batches.scored<ChunkResult>(job.data.batchId);
    if (scored.length > 0) return scored;
    return Object.values(await job.getChildrenValues<ChunkResult | null>()).filter((value) => value !== null);
  }

  /** Writes a batch that is being committed; does nothing when it has ended. */
  async #commitScored(batchId: string, plan: BatchPlan, chunks: ChunkResult[]): Promise<void> {
    const { batches, logger, metrics, now, store, warehouse, engine, predictions, openFeatures } = this.#deps;
    if ((await batches.state(batchId)) !== 'committing') return;
    if (chunks.length !== plan.input.chunks.length) {
      throw new RiskModelError(
        'ChunkLost',
        `${plan.input.chunks.length - chunks.length} chunks of the batch were not scored`,
      );
    }
    const committed = await this.#inTempDir((tempDir) => {
      const tools = { store, warehouse, engine, predictions, openFeatures, logger, tempDir };
      const { table } = plan;
      return table === undefined ? commitBatch(batchId, plan, chunks, tools) : commitTable(batchId, plan, table, tools);
    });
    const finishedAt = now();
    const isDone = await batches.transition(batchId, ['committing'], 'done', {
      ...committed,
      finishedAt: finishedAt.toISOString(),
    });
    if (isDone && plan.action !== 'LoadFeatures') {
      const seconds = (finishedAt.getTime() - Date.parse(plan.predDatetime)) / 1_000;
      metrics.onBatchDone(this.#model, { scored: committed.done, rejected: committed.failed }, seconds);
    }
    logger.info({ batchId, rows: committed.done, rejected: committed.failed }, 'batch committed');
  }

  /** After as many failures as other jobs have, the objects are left to the bucket's lifecycle rule. */
  async #removeStaged(batchId: string, { attemptsMade }: Job): Promise<void> {
    const folder = `${this.#deps.stagingUri}/${batchId}`;
    try {
      await removeStaged(folder, this.#deps.store);
    } catch (error) {
      if (mayPass(error) && attemptsMade + 1 < jobOptions.attempts) throw error;
      this.#deps.logger.error({ err: error, batchId, folder }, 'what was staged for a batch can not be removed');
    }
  }

  async #inTempDir<T>(work: (tempDir: string) => Promise<T>): Promise<T> {
    const tempDir = await mkdtemp(join(this.#deps.tempDir, 'job-'));
    try {
      return await work(tempDir);
    } finally {
      await rm(tempDir, { recursive: true, force: true });
    }
  }
}

/** Features that a file does not have are left as they are in the store, so that only the identifier is looked for. */
function identifiers({ spec }: RiskModel): string[] {
  return spec.identifier === undefined ? [] : [spec.identifier];
}

/** How often a job is tried that fails for something that may pass. */
function mostAttempts(job: Job, error: unknown): number {
  // The results are in the warehouse then: nothing about them is open that a commit would have to find out.
  if (error instanceof RiskModelError && error.code === 'LookupFailed') return jobOptions.attempts;
  return job.opts.attempts ?? 1;
}

/** Columns that records may lack: a JSON file whose first records do not have them may have them later. */
function optionalColumns({ spec }: RiskModel): string[] {
  const features = spec.features.filter(({ whenMissing }) => whenMissing !== 'Reject').map(({ name }) => name);
  return [...features, spec.identifier, spec.target].filter((name) => name !== undefined);
}
