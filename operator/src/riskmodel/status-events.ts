import type { Condition } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { EventInput } from '../runtime/event-recorder.ts';

/** Reasons that are as they should be; every other one is a warning. */
const normal = new Set(['Serving', 'UpToDate', 'RollingOut', 'Deploying', 'AsExpected', 'Off']);

/**
 * What people should hear of when conditions change: each one whose status or reason is new. Degraded says again what
 * the other two say, and Progressing, when it is as it should be, what Ready says of the same turn.
 */
export function eventsOf(before: readonly Condition[], after: readonly Condition[]): EventInput[] {
  const changed = after.filter(({ type, status, reason }) => {
    const old = before.find((condition) => condition.type === type);
    return type !== 'Degraded' && (old?.status !== status || old.reason !== reason);
  });
  const hasReady = changed.some(({ type }) => type === 'Ready');
  return changed
    .filter(({ type, reason }) => !(hasReady && type === 'Progressing' && normal.has(reason)))
    .map(({ reason, message }) => ({
      type: normal.has(reason) ? 'Normal' : 'Warning',
      reason,
      action: 'Reconcile',
      note: message,
    }));
}
