import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import { queueName, submitBatch } from '@riskmodel/core/batches/queue.ts';
import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import { FaultyProxy, type Fate } from '../harness/faulty-proxy.ts';
import type { GoogleCloud } from '../harness/google-cloud.ts';
import { LocalSystem, repository } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import type { Program } from '../harness/program.ts';
import { bigQueryCall, storageCall, type CallKind } from './google-cloud-calls.ts';
import { quickJobOptions } from './google-cloud-pauses.ts';
import type { FaultKind, PlannedKill, RunPlan } from './google-cloud-plan.ts';

const workerFile = `${repository}/test/faults/google-cloud-worker.ts`;
/** Milliseconds that a batch may take, on a machine that does much else. */
const longestRun = 180_000;
/** A commit is tried for as long as it takes; an outage that it has met so often is over. */
const mostTries = quickJobOptions.attempts + 1;
const columnThatIsMissing = 'PAY_AMT6';

/** A call that a worker made in a run, and what became of it. */
export interface SeenCall {
  kind: CallKind;
  fault?: FaultKind | 'killed before' | 'killed after';
  status?: number;
}

/** What a run came to. */
export interface RunOutcome {
  plan: RunPlan;
  batch: Batch;
  calls: SeenCall[];
  /** Whether an outage was over before the batch had ended, as the commit would have waited for ever. */
  outlasted: boolean;
  /** Whether the planned kill came. */
  killed: boolean;
  /** Processes that ended by themselves. */
  crashes: string[];
  /** Objects that are left of what was staged. */
  staged: string[];
  results: { rows: number; records: number; unscored: number; last: number };
  metrics: { rows: number; support: number };
  rejects: number[];
}

interface TableMetadata {
  schema: { fields: { name: string }[] };
  timePartitioning: object;
  clustering: object;
}

/**
 * One worker after the other on its own dataset and queue, between whom and the emulators are two faulty proxies. Its
 * batches come one at a time, so that every call is known to be of which; several lanes run side by side.
 */
export class FaultLane {
  readonly #cloud: GoogleCloud;
  readonly #dataset: string;
  readonly #system: LocalSystem;
  readonly #storage: FaultyProxy;
  readonly #bigQuery: FaultyProxy;
  readonly #redis: Redis;
  readonly #queue: Queue;
  #worker: Program | undefined;
  #results: TableMetadata | undefined;

  private constructor(
    cloud: GoogleCloud,
    dataset: string,
    { system, storage, bigQuery }: { system: LocalSystem; storage: FaultyProxy; bigQuery: FaultyProxy },
  ) {
    this.#cloud = cloud;
    this.#dataset = dataset;
    this.#system = system;
    this.#storage = storage;
    this.#bigQuery = bigQuery;
    this.#redis = connectRedis(process.env['REDIS_URL'] as string, 'worker', () => {});
    this.#queue = new Queue(queueName(system.manifest.metadata.name), {
      connection: this.#redis,
      prefix: system.redisPrefix,
      defaultJobOptions: quickJobOptions,
    });
  }

  /** @param artifact the URI of the example's model */
  static async start(cloud: GoogleCloud, dataset: string, artifact: string): Promise<FaultLane> {
    if (cloud.emulators === undefined) throw new Error('faults are injected in front of emulators');
    await cloud.emulators.bigQuery.createDataset(dataset);
    const manifest = exampleManifest({ chunkRows: 1_000, output: { dataset } });
    manifest.spec.artifact.uri = artifact;
    const parts = {
      system: await LocalSystem.start({ manifest }),
      storage: await FaultyProxy.start(cloud.emulators.storage.url),
      bigQuery: await FaultyProxy.start(cloud.emulators.bigQuery.url),
    };
    return new FaultLane(cloud, dataset, parts);
  }

  async stop(): Promise<void> {
    await this.#queue.close();
    this.#redis.disconnect();
    await this.#system.stop();
    await Promise.all([this.#storage.stop(), this.#bigQuery.stop()]);
  }

  /** Runs one batch as planned. Throws when the batch does not end. */
  async run(plan: RunPlan): Promise<RunOutcome> {
    await this.#makeTables(plan.tables);
    const injector = new Injector(plan, () => this.#worker?.child.kill('SIGKILL'));
    injector.listen(this.#storage, storageCall);
    injector.listen(this.#bigQuery, bigQueryCall);
    const step = plan.kill !== undefined && 'step' in plan.kill ? plan.kill.step : undefined;
    if (plan.newWorker) await this.#worker?.kill();
    await this.#startWorker(step);
    const input = `${this.#cloud.folderUri}/${plan.input}`;
    const { batches } = this.#system;
    const model = this.#system.manifest.metadata.name;
    const { id } = await submitBatch({ model, input }, { store: batches, queue: this.#queue, now: () => new Date() });
    const { batch, crashes, deaths } = await this.#watch(id, injector, step !== undefined);
    const isStepKill = step !== undefined && deaths > 0;
    // A batch that failed before the step has left a worker that would die in the next run.
    if (step !== undefined && !isStepKill) await this.#worker?.kill();
    return {
      plan,
      batch,
      calls: injector.calls,
      outlasted: injector.isLifted,
      killed: injector.killed || isStepKill,
      crashes,
      staged: await this.#cloud.list(`${this.#cloud.folderUri}/staging/${id}/`),
      ...(await this.#rowsOf(id)),
    };
  }

  /** Waits until the batch has ended and nothing of it is queued; a worker that dies has a successor. */
  async #watch(
    id: string,
    injector: Injector,
    diesAtStep: boolean,
  ): Promise<{ batch: Batch; crashes: string[]; deaths: number }> {
    const deadline = Date.now() + longestRun;
    const crashes: string[] = [];
    let deaths = 0;
    for (;;) {
      if (this.#worker?.isRunning !== true) {
        if (this.#worker?.child.signalCode !== 'SIGKILL' || (!injector.killed && !diesAtStep)) {
          crashes.push(endOf(this.#worker));
        }
        deaths++;
        await this.#startWorker();
      }
      const [batch, counts] = await Promise.all([
        this.#system.batches.get(id),
        this.#queue.getJobCounts('active', 'waiting', 'delayed', 'waiting-children', 'prioritized'),
      ]);
      if (batch?.state === 'committing' && !injector.isLifted && (await this.#triesOfCommit(id)) > mostTries)
        injector.lift();
      const isIdle = Object.values(counts).every((count) => count === 0);
      if (batch !== undefined && isFinal(batch.state) && isIdle) return { batch, crashes, deaths };
      if (Date.now() > deadline) {
        const log = this.#worker?.lines.slice(-15).join('\n');
        throw new Error(`the batch has not ended: ${JSON.stringify({ batch, counts })}\n${injector.story()}\n${log}`);
      }
      await sleep(15);
    }
  }

  async #triesOfCommit(id: string): Promise<number> {
    return (await this.#queue.getJob(`${id}.commit`))?.attemptsMade ?? 0;
  }

  async #startWorker(step?: string): Promise<void> {
    if (this.#worker?.isRunning === true) return;
    this.#worker = await this.#system.startWorker(
      {
        ...this.#cloud.environment,
        RISKMODEL_STORAGE_ENDPOINT: this.#storage.url,
        RISKMODEL_BIGQUERY_ENDPOINT: this.#bigQuery.url,
        RISKMODEL_WORKER_LOCK_MS: '1500',
        RISKMODEL_WORKER_THREADS: '1',
        ...(step !== undefined && { TEST_KILL_AT: step }),
      },
      workerFile,
    );
  }

  async #makeTables(tables: RunPlan['tables']): Promise<void> {
    const dataset = this.#cloud.bigQuery.dataset(this.#dataset);
    const results = dataset.table('risk_model_results');
    this.#results ??= await results.getMetadata().then(
      ([metadata]) => metadata as TableMetadata,
      () => undefined,
    );
    if (tables === 'there') return;
    const names = ['risk_model_results', 'risk_model_metrics', 'risk_model_rejects'];
    await Promise.all(names.map((name) => dataset.table(name).delete({ ignoreNotFound: true })));
    if (tables !== 'narrow' || this.#results === undefined) return;
    const { schema, timePartitioning, clustering } = this.#results;
    const fields = schema.fields.filter(({ name }) => name !== columnThatIsMissing);
    await dataset.createTable('risk_model_results', { schema: { fields }, timePartitioning, clustering });
  }

  async #rowsOf(id: string): Promise<Pick<RunOutcome, 'results' | 'metrics' | 'rejects'>> {
    const [results, metrics, rejects] = await Promise.all([
      this.#query(
        `SELECT count(*) AS n, count(DISTINCT record_index) AS records, countif(prob_0 IS NULL OR prob_1 IS NULL) AS unscored, max(record_index) AS last FROM risk_model_results WHERE batch_id = '${id}'`,
      ),
      this.#query(`SELECT count(*) AS n, max(support) AS support FROM risk_model_metrics WHERE batch_id = '${id}'`),
      this.#query(`SELECT record_index FROM risk_model_rejects WHERE batch_id = '${id}' ORDER BY record_index`),
    ]);
    const [first] = results;
    const [report] = metrics;
    return {
      results: {
        rows: Number(first?.['n'] ?? 0),
        records: Number(first?.['records'] ?? 0),
        unscored: Number(first?.['unscored'] ?? 0),
        last: Number(first?.['last'] ?? 0),
      },
      metrics: { rows: Number(report?.['n'] ?? 0), support: Number(report?.['support'] ?? 0) },
      rejects: rejects.map((row) => Number(row['record_index'])),
    };
  }

  /** No rows of a table that is not there. */
  async #query(query: string): Promise<Record<string, unknown>[]> {
    try {
      const [rows] = await this.#cloud.bigQuery.query({ query, defaultDataset: { datasetId: this.#dataset } });
      return rows as Record<string, unknown>[];
    } catch (error) {
      if ((error as { code?: unknown }).code === 404 || /not found|does not exist/i.test(String(error))) return [];
      throw error;
    }
  }
}

/** How a process ended, and the last that it said. */
function endOf(program: Program | undefined): string {
  const { exitCode, signalCode } = program?.child ?? {};
  return `exit code ${exitCode}, signal ${signalCode}\n${(program?.lines ?? []).slice(-15).join('\n')}`;
}

/** Does to the calls of one run what its plan says. */
class Injector {
  readonly calls: SeenCall[] = [];
  killed = false;
  isLifted = false;
  readonly #plan: RunPlan;
  readonly #kill: () => void;
  readonly #counts = new Map<CallKind, number>();

  constructor(plan: RunPlan, kill: () => void) {
    this.#plan = plan;
    this.#kill = kill;
  }

  /** The outage is over: from now on calls pass. */
  lift(): void {
    this.isLifted = true;
  }

  listen(proxy: FaultyProxy, kindOf: typeof storageCall): void {
    let killsAtAnswer: number | undefined;
    const seen = new Map<number, SeenCall>();
    proxy.decide = ({ index, method, path }) => {
      const call: SeenCall = { kind: kindOf({ method, path }) };
      seen.set(index, call);
      this.calls.push(call);
      const nth = this.#counts.get(call.kind) ?? 0;
      this.#counts.set(call.kind, nth + 1);
      if (this.#isKill(call.kind, nth)) {
        const { when } = this.#plan.kill as Extract<PlannedKill, { call: CallKind }>;
        call.fault = `killed ${when}`;
        if (when === 'after') {
          killsAtAnswer = index;
          return 'lose-reply';
        }
        this.#killNow();
        return 'reset';
      }
      return this.#fateOf(call, nth);
    };
    proxy.onAnswer = ({ index, status }) => {
      const call = seen.get(index);
      if (call !== undefined && status !== undefined) call.status = status;
      if (index === killsAtAnswer) this.#killNow();
    };
  }

  /** The calls, a line each. */
  story(): string {
    return this.calls.map(({ kind, fault, status }) => [kind, fault, status].filter(Boolean).join(' ')).join('\n');
  }

  #isKill(kind: CallKind, nth: number): boolean {
    const { kill } = this.#plan;
    return !this.killed && kill !== undefined && 'call' in kill && kill.call === kind && kill.nth === nth;
  }

  #killNow(): void {
    this.killed = true;
    this.#kill();
  }

  #fateOf(call: SeenCall, nth: number): Fate {
    const planned = this.#plan.faults.find(
      ({ call: kind, from, times }) => kind === call.kind && nth >= from && nth < from + times,
    );
    if (planned === undefined || this.isLifted) return 'pass';
    call.fault = planned.fault;
    return planned.fate;
  }
}
