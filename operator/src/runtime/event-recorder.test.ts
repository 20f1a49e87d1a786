import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KubeError } from '../kube/kube-error.ts';
import type { KubeObject, ObjectRef } from '../kube/object.ts';
import { FakeClock, settle } from '../testing/fake-clock.ts';
import { configMap } from '../testing/objects.ts';
import { quietLogger } from '../testing/quiet-logger.ts';
import { EventRecorder, type EventInput } from './event-recorder.ts';

const object = configMap('credit', { uid: 'u', resourceVersion: '7' });
const ready: EventInput = { type: 'Normal', reason: 'RevisionReady', action: 'RollOut', note: 'revision r1 is ready' };

let clock: FakeClock;
let created: KubeObject[];
let patched: { ref: ObjectRef; patch: unknown }[];
/** What the next requests fail with. */
let errors: (Error | undefined)[];
let recorder: EventRecorder;

beforeEach(() => {
  clock = new FakeClock();
  created = [];
  patched = [];
  errors = [];
  const fail = (): void => {
    const error = errors.shift();
    if (error) throw error;
  };
  const client = {
    create: async (event: KubeObject) => {
      created.push(event);
      fail();
      return event;
    },
    patch: async (_: unknown, ref: ObjectRef, patch: unknown) => {
      patched.push({ ref, patch });
      fail();
      return object;
    },
  };
  const { logger } = quietLogger();
  recorder = new EventRecorder({
    client,
    controller: 'riskmodel.io/operator',
    instance: 'pod-1',
    clock,
    random: () => 0.5,
    logger,
  });
});
afterEach(() => recorder.stop());

describe('an event', () => {
  test('says what happened to which object', async () => {
    recorder.record(object, ready);
    await settle();
    expect(created).toEqual([
      {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { namespace: 'default', name: 'credit.800000000000' },
        eventTime: '2025-01-01T00:00:00.000000Z',
        reportingController: 'riskmodel.io/operator',
        reportingInstance: 'pod-1',
        regarding: {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          namespace: 'default',
          name: 'credit',
          uid: 'u',
          resourceVersion: '7',
        },
        ...ready,
      },
    ]);
  });

  test('of an object of the cluster is told in the namespace default', async () => {
    const { namespace: _, ...metadata } = object.metadata;
    recorder.record({ ...object, metadata }, ready);
    await settle();
    expect(created).toMatchObject([{ metadata: { namespace: 'default' } }]);
  });

  test('holds no secret', async () => {
    recorder.record(object, { ...ready, note: 'redis://user:hunter2@redis does not answer' });
    await settle();
    expect(created).toMatchObject([{ note: 'redis://***@redis does not answer' }]);
  });

  test('is no longer than the API takes, and cuts no character in two', async () => {
    recorder.record(object, { ...ready, note: '€'.repeat(1_000) });
    await settle();
    const note = created[0]?.['note'] as string;
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1_024);
    expect(note).toMatch(/^€+\.\.\.$/);
  });
});

describe('an event that comes again', () => {
  test('is counted, and told of once a minute', async () => {
    recorder.record(object, ready);
    await clock.advance(1_000);
    for (let i = 0; i < 9; i++) recorder.record(object, ready);
    await clock.advance(58_000);
    expect(patched).toEqual([]);
    await clock.advance(1_000);
    expect([created.length, patched]).toEqual([
      1,
      [
        {
          ref: { namespace: 'default', name: 'credit.800000000000' },
          patch: { series: { count: 10, lastObservedTime: '2025-01-01T00:00:01.000000Z' } },
        },
      ],
    ]);
  });

  test('while the first is not told yet is told with it', async () => {
    errors = [new KubeError(0, undefined, 'away')];
    recorder.record(object, ready);
    await clock.advance(500);
    recorder.record(object, ready);
    await clock.advance(60_000);
    expect(created.at(-1)).toMatchObject({ series: { count: 2 } });
    expect(patched).toEqual([]);
  });

  test('after ten minutes is a new one', async () => {
    recorder.record(object, ready);
    await clock.advance(600_000);
    recorder.record(object, ready);
    await settle();
    expect([created.length, patched.length]).toEqual([2, 0]);
  });

  test.each<[string, Partial<EventInput>]>([
    ['reason', { reason: 'Other' }],
    ['note', { note: 'other' }],
    ['type', { type: 'Warning' }],
    ['action', { action: 'Other' }],
  ])('with another %s is another', async (_, change) => {
    recorder.record(object, ready);
    recorder.record(object, { ...ready, ...change });
    await settle();
    expect(created).toHaveLength(2);
  });
});

describe('what cannot be told', () => {
  test('is tried again, and dropped in the end', async () => {
    errors = Array.from({ length: 99 }, () => new KubeError(500, undefined, 'no'));
    recorder.record(object, ready);
    await clock.advance(600_000);
    expect(created).toHaveLength(5);
  });

  test('since it is there already, was told by a try whose answer got lost', async () => {
    errors = [new KubeError(0, undefined, 'lost'), new KubeError(409, 'AlreadyExists', 'there')];
    recorder.record(object, ready);
    await clock.advance(600_000);
    expect(created).toHaveLength(2);
  });

  test('since the event has gone, is told anew', async () => {
    recorder.record(object, ready);
    await settle();
    errors = [new KubeError(404, 'NotFound', 'gone')];
    recorder.record(object, ready);
    await clock.advance(70_000);
    expect(patched).toHaveLength(1);
    expect(created.at(-1)).toMatchObject({ series: { count: 2 } });
  });

  test('since an object has too many events, is left out', async () => {
    for (let i = 0; i < 100; i++) recorder.record(object, { ...ready, note: `note ${i}` });
    recorder.record(configMap('other'), ready);
    await clock.advance(1_000);
    expect(created).toHaveLength(26);
  });
});
