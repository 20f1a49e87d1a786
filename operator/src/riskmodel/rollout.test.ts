import { describe, expect, test } from '@jest/globals';
import { planRollout, type RevisionState, type Rollout } from './rollout.ts';
import { makeModel } from './testing/make-model.ts';

const now = new Date('2026-01-01T12:00:00Z');
const drainMs = 60_000;

function state(revision: string, values: Partial<RevisionState> = {}): RevisionState {
  return { revision, replicas: 2, available: 2, isObserved: true, retiredAt: undefined, ...values };
}

/** So many seconds before `now`. */
function ago(seconds: number): Date {
  return new Date(now.getTime() - seconds * 1000);
}

interface Case {
  name: string;
  desired: string;
  selected?: string;
  revisions: RevisionState[];
  replicas?: { min: number; max: number };
  historyLimit?: number;
  want: Partial<Rollout>;
}

const cases: Case[] = [
  {
    name: 'a new model starts its first revision with the fewest pods, and has no traffic yet',
    desired: 'a',
    revisions: [],
    want: { stable: undefined, scale: new Map([['a', 2]]), retire: [], prune: [] },
  },
  {
    name: 'the first revision gets traffic once all its pods are ready',
    desired: 'a',
    revisions: [state('a')],
    want: { stable: 'a', scale: new Map(), retire: [] },
  },
  {
    name: 'pods that are ready by an old count do not get traffic',
    desired: 'a',
    revisions: [state('a', { isObserved: false })],
    want: { stable: undefined },
  },
  {
    name: 'a new revision is made as large as the one that serves, whatever the minimum says',
    desired: 'b',
    selected: 'a',
    revisions: [state('a', { replicas: 7, available: 7 })],
    want: { stable: 'a', scale: new Map([['b', 7]]), retire: [] },
  },
  {
    name: 'traffic stays with the old revision while one pod of the new one is missing',
    desired: 'b',
    selected: 'a',
    revisions: [state('a'), state('b', { available: 1 })],
    want: { stable: 'a', scale: new Map(), retire: [] },
  },
  {
    name: 'traffic moves when the new revision is ready, and the old one is marked as retired',
    desired: 'b',
    selected: 'a',
    revisions: [state('a'), state('b')],
    want: { stable: 'b', scale: new Map(), retire: ['a'], prune: [] },
  },
  {
    name: 'a retired revision keeps its pods until it has drained, and is looked at again then',
    desired: 'b',
    selected: 'b',
    revisions: [state('a', { retiredAt: ago(20) }), state('b')],
    want: { scale: new Map(), requeueAfter: 40_000, prune: [] },
  },
  {
    name: 'a drained revision is kept at zero',
    desired: 'b',
    selected: 'b',
    revisions: [state('a', { retiredAt: ago(61) }), state('b')],
    want: { scale: new Map([['a', 0]]), requeueAfter: undefined, prune: [] },
  },
  {
    name: 'a revision at zero is left alone',
    desired: 'b',
    selected: 'b',
    revisions: [state('a', { retiredAt: ago(3600), replicas: 0, available: 0 }), state('b')],
    want: { scale: new Map(), requeueAfter: undefined },
  },
  {
    name: 'the number of pods of the revision that serves is the autoscaler to say',
    desired: 'a',
    selected: 'a',
    revisions: [state('a', { replicas: 9, available: 9 })],
    want: { stable: 'a', scale: new Map() },
  },
  {
    name: 'going back starts the old revision again before traffic moves to it',
    desired: 'a',
    selected: 'b',
    revisions: [
      state('a', { retiredAt: ago(3600), replicas: 0, available: 0 }),
      state('b', { replicas: 3, available: 3 }),
    ],
    want: { stable: 'b', scale: new Map([['a', 3]]), revive: ['a'], prune: [] },
  },
  {
    name: 'a revision that was given up before it was ready is removed',
    desired: 'c',
    selected: 'a',
    revisions: [state('a'), state('b', { available: 0 }), state('c', { available: 0 })],
    want: { stable: 'a', prune: ['b'] },
  },
  {
    name: 'only the newest retired revisions are kept',
    desired: 'd',
    selected: 'd',
    historyLimit: 2,
    revisions: [
      state('a', { retiredAt: ago(3000), replicas: 0 }),
      state('b', { retiredAt: ago(2000), replicas: 0 }),
      state('c', { retiredAt: ago(1000), replicas: 0 }),
      state('d'),
    ],
    want: { prune: ['a'], stable: 'd' },
  },
  {
    name: 'min: 0 turns serving off',
    desired: 'a',
    selected: 'a',
    replicas: { min: 0, max: 10 },
    revisions: [state('a')],
    want: { scale: new Map([['a', 0]]) },
  },
  {
    name: 'serving that was off is turned on again',
    desired: 'a',
    selected: 'a',
    revisions: [state('a', { replicas: 0, available: 0 })],
    want: { scale: new Map([['a', 2]]), stable: 'a' },
  },
  {
    name: 'a revision whose Deployment somebody deleted is made again, and traffic goes where it can',
    desired: 'a',
    selected: 'a',
    revisions: [],
    want: { stable: undefined, scale: new Map([['a', 2]]) },
  },
];

describe('a rollout', () => {
  test.each(cases)('$name', ({ desired, selected, revisions, replicas, historyLimit, want }) => {
    const model = makeModel({
      online: { replicas: replicas ?? { min: 2, max: 10 } },
      revisionHistoryLimit: historyLimit ?? 3,
    });
    expect(planRollout({ model, desired, selected, revisions, now, drainMs })).toMatchObject(want);
  });
});
