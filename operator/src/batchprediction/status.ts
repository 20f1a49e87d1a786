import { isDeepStrictEqual } from 'node:util';
import { isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import type {
  BatchPrediction,
  BatchPredictionStatus,
  BatchTables,
  Condition,
} from '@riskmodel/core/batchprediction/zz_generated.batchprediction.ts';
import { messageOf, RiskModelError } from '@riskmodel/core/errors.ts';
import type { EventInput } from '../runtime/event-recorder.ts';

/** What both conditions say of a run: which of them hold, and why. */
interface Verdict {
  complete: boolean;
  failed: boolean;
  reason: string;
  message: string;
}

type Inputs = readonly [run: BatchPrediction, now: Date];

/** The CRD's limits. */
const longestMessage = 32_768;
const longestReason = 1_024;

/** A run whose RiskModel is not there yet. */
export function makeWaitingStatus(...[run, now]: Inputs): BatchPredictionStatus {
  const { namespace = 'default' } = run.metadata;
  return withVerdict(run, now, run.status ?? {}, {
    ...unfinished,
    reason: 'ModelNotFound',
    message: `there is no RiskModel "${run.spec.model}" in namespace "${namespace}": the run starts when there is`,
  });
}

/** A run as its batch's record has it. */
export function makeRunStatus(batch: Batch, ...[run, now]: Inputs): BatchPredictionStatus {
  const { id, state, rows, startedAt, finishedAt, metrics, error } = batch;
  const output = tablesOf(batch);
  const fields: BatchPredictionStatus = {
    batchId: id,
    state,
    rows: { done: rows.done, failed: rows.failed, ...(rows.total !== null && { total: rows.total }) },
    ...(startedAt !== null && { startedAt }),
    ...(finishedAt !== null && { finishedAt }),
    ...(output && { output }),
    ...(metrics && { metrics }),
    ...(error && { error: { code: error.code, message: error.message.slice(0, longestMessage) } }),
  };
  return withVerdict(run, now, fields, verdictOf(batch));
}

/** A run that had been started and of which Redis knows nothing any more. It is not started again: it may be done. */
export function makeLostStatus(...[run, now]: Inputs): BatchPredictionStatus {
  return makeFailedStatus(
    'RecordLost',
    'Redis has no record of the batch any more, so that nobody knows how far it came: look into the result tables, and create another BatchPrediction if its rows are missing',
    run,
    now,
  );
}

/** A run that can't be started, whenever it is tried. */
export function makeRefusedStatus(error: unknown, ...[run, now]: Inputs): BatchPredictionStatus {
  const code = error instanceof RiskModelError ? error.code : 'InternalError';
  return makeFailedStatus(code, messageOf(error), run, now);
}

function makeFailedStatus(code: string, message: string, ...[run, now]: Inputs): BatchPredictionStatus {
  const fields: BatchPredictionStatus = {
    ...run.status,
    state: 'failed',
    finishedAt: now.toISOString(),
    error: { code, message: message.slice(0, longestMessage) },
  };
  return withVerdict(run, now, fields, { complete: false, failed: true, reason: code, message });
}

/** Whether the status says that the run is over. */
export function hasEnded({ status }: Pick<BatchPrediction, 'status'>): boolean {
  return status?.state !== undefined && isFinal(status.state);
}

/** Milliseconds until the run's time after its end is over, 0 or less when it is; undefined when it is kept. */
export function untilExpiry(...[{ spec, status }, now]: Inputs): number | undefined {
  const { ttlSecondsAfterFinished: seconds } = spec;
  if (seconds === undefined || status?.finishedAt === undefined) return undefined;
  return Date.parse(status.finishedAt) + seconds * 1_000 - now.getTime();
}

/** Whether two statuses say the same, so that writing the second would tell nobody anything. */
export function isSameStatus(a: BatchPredictionStatus | undefined, b: BatchPredictionStatus): boolean {
  return isDeepStrictEqual(a, b);
}

/** What people should hear of when a run's status changes: that it waits, and how it ended. */
export function eventOf(
  before: BatchPredictionStatus | undefined,
  after: BatchPredictionStatus,
): EventInput | undefined {
  const [complete, failed] = [conditionOf(after, 'Complete'), conditionOf(after, 'Failed')];
  if (complete === undefined || complete.reason === conditionOf(before, 'Complete')?.reason) return undefined;
  const { reason, message } = complete;
  const isWarning = failed?.status === 'True';
  const isNews = isWarning || complete.status === 'True' || reason === 'ModelNotFound';
  return isNews ? { type: isWarning ? 'Warning' : 'Normal', reason, action: 'Score', note: message } : undefined;
}

function conditionOf(status: BatchPredictionStatus | undefined, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

const unfinished = { complete: false, failed: false };

function verdictOf({ state, error, output }: Batch): Verdict {
  switch (state) {
    case 'queued':
      return { ...unfinished, reason: 'Queued', message: 'the batch waits for a worker' };
    case 'planning':
      return { ...unfinished, reason: 'Planning', message: 'the input is being looked at' };
    case 'scoring':
      return { ...unfinished, reason: 'Scoring', message: 'the rows are being scored' };
    case 'committing':
      return { ...unfinished, reason: 'Committing', message: 'the results are being written to the warehouse' };
    case 'done':
      return { complete: true, failed: false, reason: 'Done', message: `the results are in ${resultsPlace(output)}` };
    case 'failed':
      return {
        complete: false,
        failed: true,
        reason: error?.code ?? 'InternalError',
        message: error?.message ?? 'the batch failed and did not say why',
      };
    case 'cancelled':
      return {
        complete: false,
        failed: true,
        reason: 'Cancelled',
        message: 'the batch was cancelled: nothing of it is in the warehouse',
      };
  }
}

function resultsPlace({ results, files }: Batch['output']): string {
  if (files === undefined) return 'the warehouse';
  return results?.startsWith(files) ? files : `the warehouse and in ${files}`;
}

function tablesOf({ output: { results, files, metrics, rejects } }: Batch): BatchTables | undefined {
  const tables: BatchTables = {
    ...(results !== null && { results }),
    ...(files !== undefined && { files }),
    ...(metrics !== null && { metrics }),
    ...(rejects !== null && { rejects }),
  };
  return Object.keys(tables).length === 0 ? undefined : tables;
}

function withVerdict(
  { status, metadata: { generation = 0 } }: BatchPrediction,
  now: Date,
  fields: BatchPredictionStatus,
  { complete, failed, reason, message }: Verdict,
): BatchPredictionStatus {
  const why = { reason: reason.slice(0, longestReason), message: message.slice(0, longestMessage) };
  const makeCondition = (type: string, holds: boolean): Condition => {
    const value = holds ? 'True' : 'False';
    const before = conditionOf(status, type);
    const lastTransitionTime = before?.status === value ? before.lastTransitionTime : secondOf(now);
    return { type, status: value, ...why, observedGeneration: generation, lastTransitionTime };
  };
  return {
    ...fields,
    observedGeneration: generation,
    conditions: [makeCondition('Complete', complete), makeCondition('Failed', failed)],
  };
}

function secondOf(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
