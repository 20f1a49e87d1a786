import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UnrecoverableError, type FlowProducer, type Job, type Queue } from 'bullmq';
import type { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { isFinal, type BatchState } from '@riskmodel/core/batches/batch.ts';
import { jobOptions, queueName, type BatchJobName, type JobName, type PlanJob } from '@riskmodel/core/batches/queue.ts';
import { dueTime, startScheduledBatch, type ScheduleJob } from '@riskmodel/core/batches/schedules.ts';
import type { Engine } from '@riskmodel/core/columnar/engine.ts';
import { RiskModelError, mayPass, messageOf } from '@riskmodel/core/errors.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { Warehouse } from '@riskmodel/core/warehouse/warehouse.ts';
import { commitBatch, prepareTables, removeStaged, TooManyRejectsError } from './commit/commit-batch.ts';
import { planInput, type ChunkRange } from './input/plan-input.ts';
import type { ModelCache } from './model-cache.ts';
import { fingerprint, matchColumns, type BatchPlan } from './plan.ts';
import { scoreChunk, type ChunkResult } from './scoring/score-chunk.ts';

/** Everything the processors reach outside of themselves. */
export interface WorkerDeps {
  batches: BatchStore;
  flows: FlowProducer;
  store: ObjectStore;
  warehouse: Warehouse;
  engine: Engine;
  models: ModelCache;
  logger: Logger;
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
 * The three kinds of job that a batch consists of, and the one that starts a batch by the clock. Each may run twice, or be cut short anywhere: it looks at the batch's
 * record first, does nothing for a batch that has ended, and comes to the same result as the last time.
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
    if (name === 'schedule') {
      await this.#startScheduled(job as Job<ScheduleJob>);
      return undefined;
    }
    return this.#processOfBatch(name, job);
  }

  async #processOfBatch(name: BatchJobName, job: Job): Promise<ChunkResult | undefined> {
    const { batchId } = job.data as PlanJob;
    try {
      switch (name) {
        case 'plan':
          await this.#plan(batchId);
          return undefined;
        case 'chunk':
          return await this.#chunk(job.data as ChunkJob);
        case 'commit':
          await this.#commit(job as Job<CommitJob>);
          return undefined;
      }
    } catch (error) {
      const lastAttempt = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
      this.#deps.logger.warn(
        { err: error, batchId, job: name, attempt: job.attemptsMade + 1 },
        'a job of a batch failed',
      );
      if (mayPass(error) && !lastAttempt) throw error;
      await this.fail(batchId, error);
      // Other chunks may be under way still; the commit job, which runs when they have ended, cleans up after them.
      if (name !== 'chunk') await this.#removeStaged(batchId);
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
    if (failed) this.#deps.logger.error({ batchId, code, reason: messageOf(error) }, 'batch failed');
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

  async #plan(batchId: string): Promise<void> {
    const { batches, models, store, engine, warehouse, stagingUri, logger } = this.#deps;
    const startedAt = this.#deps.now().toISOString();
    await batches.transition(batchId, ['queued'], 'planning', { startedAt });
    const batch = await batches.get(batchId);
    if (batch === undefined || isFinal(batch.state)) return;
    if (batch.state === 'planning') {
      const model = await models.load(this.#manifest);
      const { sha256 } = model;
      const manifest: RiskModel = {
        ...this.#manifest,
        spec: { ...this.#manifest.spec, artifact: { ...this.#manifest.spec.artifact, sha256 } },
      };
      const input = await this.#inTempDir((tempDir) =>
        planInput(batch.input, {
          format: batch.format,
          store,
          engine,
          tempDir,
          chunkRows: manifest.spec.batch.chunkRows,
          stagingUri: `${stagingUri}/${batchId}`,
          optionalColumns: optionalColumns(manifest),
        }),
      );
      const columns = matchColumns(manifest, input.columns);
      const predDatetime = batch.startedAt ?? startedAt;
      const plan: BatchPlan = {
        manifest,
        modelVersion: model.version,
        modelSha256: sha256,
        input,
        columns,
        predDatetime,
        stagingUri: `${stagingUri}/${batchId}/${fingerprint(manifest.spec, input, predDatetime)}`,
      };
      await prepareTables(plan, warehouse);
      await batches.transition(batchId, ['planning'], 'scoring', { total: input.records, plan });
      logger.info({ batchId, rows: input.records, chunks: input.chunks.length, format: input.format }, 'batch planned');
    }
    // The plan that counts is the one on record: of two that were made at once, one was kept.
    const plan = await batches.plan<BatchPlan>(batchId);
    if (plan !== undefined) await this.#enqueueChunks(batchId, plan);
  }

  /** One transaction: either the whole flow is queued or nothing. Job ids keep it from being queued twice. */
  async #enqueueChunks(batchId: string, plan: BatchPlan): Promise<void> {
    const queue = queueName(this.#manifest.metadata.name);
    await this.#deps.flows.add({
      name: 'commit' satisfies JobName,
      queueName: queue,
      data: { batchId } satisfies CommitJob,
      opts: { ...jobOptions, jobId: `${batchId}.commit` },
      children: plan.input.chunks.map((chunk) => ({
        name: 'chunk' satisfies JobName,
        queueName: queue,
        data: { batchId, chunk } satisfies ChunkJob,
        // A chunk that ends badly has failed the batch in its record; the commit job still runs, and cleans up.
        opts: { ...jobOptions, jobId: `${batchId}.chunk.${chunk.index}`, ignoreDependencyOnFailure: true },
      })),
    });
  }

  async #chunk({ batchId, chunk }: ChunkJob): Promise<ChunkResult | undefined> {
    const { batches, models, store, engine, logger } = this.#deps;
    const [state, plan] = await Promise.all([batches.state(batchId), batches.plan<BatchPlan>(batchId)]);
    if (state !== 'scoring' || plan === undefined) return undefined;
    const model = await models.load(plan.manifest);
    const result = await this.#inTempDir((tempDir) =>
      scoreChunk(batchId, plan, chunk, model, { store, engine, tempDir }),
    );
    await batches.recordChunk(batchId, chunk.index, { done: result.accepted, failed: result.rejected });
    logger.debug({ batchId, chunk: chunk.index, rows: result.accepted }, 'chunk scored');
    return result;
  }

  async #commit(job: Job<CommitJob>): Promise<void> {
    const { batches, logger, now, store, warehouse, engine } = this.#deps;
    const { batchId } = job.data;
    const plan = await batches.plan<BatchPlan>(batchId);
    await batches.transition(batchId, ['scoring'], 'committing');
    const state: BatchState | undefined = await batches.state(batchId);
    if (state === 'committing' && plan !== undefined) {
      const children = Object.values(await job.getChildrenValues<ChunkResult | null>()).filter(
        (value) => value !== null,
      );
      if (children.length !== plan.input.chunks.length) {
        throw new RiskModelError(
          'ChunkLost',
          `${plan.input.chunks.length - children.length} chunks of the batch were not scored`,
        );
      }
      const committed = await this.#inTempDir((tempDir) =>
        commitBatch(batchId, plan, children, { store, warehouse, engine, tempDir }),
      );
      await batches.transition(batchId, ['committing'], 'done', { ...committed, finishedAt: now().toISOString() });
      logger.info({ batchId, rows: committed.done, rejected: committed.failed }, 'batch committed');
    }
    await this.#removeStaged(batchId);
  }

  #removeStaged(batchId: string): Promise<void> {
    return removeStaged(`${this.#deps.stagingUri}/${batchId}`, this.#deps.store);
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

/** Columns that records may lack: a JSON file whose first records do not have them may have them later. */
function optionalColumns({ spec }: RiskModel): string[] {
  const features = spec.features.filter(({ whenMissing }) => whenMissing !== 'Reject').map(({ name }) => name);
  return [...features, spec.identifier, spec.target].filter((name) => name !== undefined);
}
