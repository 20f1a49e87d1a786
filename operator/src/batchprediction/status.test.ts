import { describe, expect, test } from '@jest/globals';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import type {
  BatchPrediction,
  BatchPredictionStatus,
} from '@riskmodel/core/batchprediction/zz_generated.batchprediction.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import {
  eventOf,
  hasEnded,
  makeLostStatus,
  makeRefusedStatus,
  makeRunStatus,
  makeWaitingStatus,
  untilExpiry,
} from './status.ts';
import { makeBatch, makeRun } from './testing/make-run.ts';

const now = new Date('2025-03-01T10:00:00.500Z');

/** `Complete=False Failed=True REASON`. */
function verdictOf({ conditions = [] }: BatchPredictionStatus): string {
  const reasons = new Set(conditions.map(({ reason }) => reason));
  return [...conditions.map(({ type, status }) => `${type}=${status}`), ...reasons].join(' ');
}

function statusOf(batch: Partial<Batch>, run: Partial<BatchPrediction> = {}): BatchPredictionStatus {
  return makeRunStatus(makeBatch(batch), makeRun({}, run), now);
}

describe('conditions', () => {
  test.each<[Partial<Batch>, string]>([
    [{ state: 'queued' }, 'Complete=False Failed=False Queued'],
    [{ state: 'planning' }, 'Complete=False Failed=False Planning'],
    [{ state: 'scoring' }, 'Complete=False Failed=False Scoring'],
    [{ state: 'committing' }, 'Complete=False Failed=False Committing'],
    [{ state: 'done' }, 'Complete=True Failed=False Done'],
    [{ state: 'cancelled' }, 'Complete=False Failed=True Cancelled'],
    [{ state: 'failed', error: { code: 'InvalidCsv', message: 'no header' } }, 'Complete=False Failed=True InvalidCsv'],
  ])('of %j are %s', (batch, verdict) => {
    expect(verdictOf(statusOf(batch))).toBe(verdict);
  });

  test('keep their time as long as their status stays', () => {
    const first = statusOf({ state: 'queued' });
    const later = makeRunStatus(
      makeBatch({ state: 'done' }),
      makeRun({}, { status: first }),
      new Date(now.getTime() + 60_000),
    );
    expect(later.conditions?.map(({ type, lastTransitionTime }) => [type, lastTransitionTime])).toEqual([
      ['Complete', '2025-03-01T10:01:00Z'],
      ['Failed', '2025-03-01T10:00:00Z'],
    ]);
  });

  test('do not count, so that progress changes none', () => {
    const [some, more] = [3, 4].map((done) => statusOf({ state: 'scoring', rows: { total: 9, done, failed: 0 } }));
    expect(some?.conditions).toEqual(more?.conditions);
    expect(some).not.toEqual(more);
  });
});

describe('a status', () => {
  test('has what the record has, and leaves out what is not known yet', () => {
    expect(statusOf({ state: 'queued', startedAt: null })).toMatchObject({
      state: 'queued',
      rows: { done: 0, failed: 0 },
    });
    expect(Object.keys(statusOf({ state: 'queued', startedAt: null })).toSorted()).toEqual([
      'batchId',
      'conditions',
      'observedGeneration',
      'rows',
      'state',
    ]);
    const metrics = [{ class: '0' as const, precision: 1, recall: 0.5, f1Score: 0.75, support: 8 }];
    expect(
      statusOf({
        state: 'done',
        rows: { total: 10, done: 9, failed: 1 },
        finishedAt: now.toISOString(),
        output: { results: 'results', metrics: 'metrics', rejects: null },
        metrics,
      }),
    ).toMatchObject({
      batchId: 'b-1',
      rows: { total: 10, done: 9, failed: 1 },
      finishedAt: now.toISOString(),
      output: { results: 'results', metrics: 'metrics' },
      metrics,
    });
  });

  test('of a run that waits for its model says which', () => {
    const status = makeWaitingStatus(makeRun(), now);
    expect(verdictOf(status)).toBe('Complete=False Failed=False ModelNotFound');
    expect(status.state).toBeUndefined();
    expect(status.conditions?.[0]?.message).toBe(
      'there is no RiskModel "credit" in namespace "risk": the run starts when there is',
    );
  });

  test('of a run whose record is lost is failed, with what was known', () => {
    const before = statusOf({ state: 'scoring', rows: { total: 9, done: 3, failed: 0 } });
    const status = makeLostStatus(makeRun({}, { status: before }), now);
    expect(verdictOf(status)).toBe('Complete=False Failed=True RecordLost');
    expect(status).toMatchObject({
      batchId: 'b-1',
      state: 'failed',
      rows: { total: 9, done: 3 },
      finishedAt: now.toISOString(),
      error: { code: 'RecordLost' },
    });
    expect(hasEnded({ status })).toBe(true);
  });

  test('of a run that can not be started has the reason', () => {
    const error = new RiskModelError('IdempotencyKeyReused', 'used before');
    const status = makeRefusedStatus(error, makeRun(), now);
    expect(verdictOf(status)).toBe('Complete=False Failed=True IdempotencyKeyReused');
    expect(status.error).toEqual({ code: 'IdempotencyKeyReused', message: 'used before' });
  });

  test('has no text longer than the CRD takes', () => {
    const status = statusOf({ state: 'failed', error: { code: 'X', message: 'a'.repeat(40_000) } });
    expect(status.error?.message).toHaveLength(32_768);
    expect(status.conditions?.[0]?.message).toHaveLength(32_768);
  });
});

describe('the time after the end', () => {
  const ended = { state: 'done' as const, finishedAt: '2025-03-01T09:59:50.500Z' };

  test.each([
    ['is over after its seconds', 10, ended, 0],
    ['is over when nobody was there to see it', 3, ended, -7_000],
    ['has just begun', 30, ended, 20_000],
    ['does not count before the end', 30, { state: 'scoring' as const }, undefined],
    ['has no end when the spec does not say it', undefined, ended, undefined],
  ])('%s', (_, ttl, status, ms) => {
    const spec = ttl === undefined ? {} : { ttlSecondsAfterFinished: ttl };
    expect(untilExpiry(makeRun(spec, { status }), now)).toBe(ms);
  });
});

describe('people hear', () => {
  test.each<[string, Partial<Batch>, string | undefined]>([
    ['of a good end', { state: 'done' }, 'Normal Done'],
    ['of a bad end', { state: 'failed', error: { code: 'InvalidCsv', message: 'no header' } }, 'Warning InvalidCsv'],
    ['of a cancellation', { state: 'cancelled' }, 'Warning Cancelled'],
    ['not of each step', { state: 'scoring' }, undefined],
  ])('%s', (_, batch, heard) => {
    const event = eventOf(statusOf({ state: 'planning' }), statusOf(batch));
    expect(event && `${event.type} ${event.reason}`).toBe(heard);
  });

  test('once that a run waits', () => {
    const waiting = makeWaitingStatus(makeRun(), now);
    expect(eventOf(undefined, waiting)?.reason).toBe('ModelNotFound');
    expect(eventOf(waiting, waiting)).toBeUndefined();
  });
});
