import { isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import type { LastBatch } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';

/** What Redis says of a model's batches. */
export interface ModelBatches {
  newest: Batch | undefined;
  /** When the next schedule comes up, or came up and waits for a worker, in milliseconds since 1970. */
  nextDue: number | undefined;
}

/** How often a batch that runs is looked at. */
const runningMs = 5_000;
/** Batches start over HTTP and by the clock too, of which the cluster tells nothing. */
const idleMs = 60_000;
/** Redis being away is looked at again. */
const awayMs = 15_000;
/** A schedule that comes up is left to the workers for so long; without any, its job is put in line then. */
const overdueMs = 2_000;

/** `status.lastBatch`, given what it was: a batch that ended is told of even when its record has expired. */
export function lastBatchOf(before: LastBatch | undefined, newest: Batch | undefined): LastBatch | undefined {
  if (newest === undefined) return before !== undefined && isFinal(before.state) ? before : undefined;
  const { id, state, rows, finishedAt } = newest;
  return {
    id,
    state,
    rows: { done: rows.done, failed: rows.failed, ...(rows.total !== null && { total: rows.total }) },
    ...(finishedAt !== null && { finishedAt }),
  };
}

/**
 * Milliseconds until a model's batches are to be looked at again.
 * @param batches undefined while Redis is away
 */
export function untilNextLook(batches: ModelBatches | undefined, now: Date): number {
  if (batches === undefined) return awayMs;
  const { newest, nextDue } = batches;
  const look = newest !== undefined && !isFinal(newest.state) ? runningMs : idleMs;
  if (nextDue === undefined) return look;
  const untilOverdue = nextDue + overdueMs - now.getTime();
  return Math.min(look, untilOverdue > 0 ? untilOverdue : runningMs);
}
