import { describe, expect, test } from '@jest/globals';
import type { RiskModel, RiskModelStatus } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { PodFailure } from './pod-failure.ts';
import type { RevisionState, Rollout } from './rollout.ts';
import { isSameStatus, makeStatus } from './status.ts';
import { makeModel } from './testing/make-model.ts';

const now = new Date('2026-01-01T12:00:00.123Z');
const failure: PodFailure = {
  reason: 'ContainerFailed',
  message: 'container server ended with exit code 1: no such file',
};

function rollout(desired: string, stable: string | undefined): Rollout {
  return { desired, stable, scale: new Map(), retire: [], revive: [], prune: [], requeueAfter: undefined };
}

function revision(name: string, available = 2): RevisionState {
  return { revision: name, replicas: 2, available, isObserved: true, retiredAt: undefined };
}

interface Case {
  name: string;
  rollout: Rollout;
  revisions?: RevisionState[];
  failure?: PodFailure;
  notOwned?: string[];
  model?: RiskModel;
  /** Status and reason of Ready, Progressing and Degraded. */
  want: [string, string, string];
}

const cases: Case[] = [
  {
    name: 'a new model',
    rollout: rollout('a', undefined),
    want: ['False Deploying', 'True RollingOut', 'False AsExpected'],
  },
  {
    name: 'a model that serves',
    rollout: rollout('a', 'a'),
    revisions: [revision('a')],
    want: ['True Serving', 'False UpToDate', 'False AsExpected'],
  },
  {
    name: 'an update under way',
    rollout: rollout('b', 'a'),
    revisions: [revision('a')],
    want: ['True Serving', 'True RollingOut', 'False AsExpected'],
  },
  {
    name: 'an update that fails leaves the model ready',
    rollout: rollout('b', 'a'),
    revisions: [revision('a')],
    failure,
    want: ['True Serving', 'False ContainerFailed', 'True ContainerFailed'],
  },
  {
    name: 'a first revision that fails',
    rollout: rollout('a', undefined),
    failure,
    want: ['False ContainerFailed', 'False ContainerFailed', 'True ContainerFailed'],
  },
  {
    name: 'no pod is ready any more',
    rollout: rollout('a', 'a'),
    revisions: [revision('a', 0)],
    want: ['False NoReadyPods', 'False UpToDate', 'True PodsMissing'],
  },
  {
    name: 'one pod is missing',
    rollout: rollout('a', 'a'),
    revisions: [revision('a', 1)],
    want: ['True Serving', 'False UpToDate', 'True PodsMissing'],
  },
  {
    name: 'somebody else has an object of the name',
    rollout: rollout('a', undefined),
    notOwned: ['Service credit-default'],
    want: ['False NotOwned', 'True RollingOut', 'True NotOwned'],
  },
  {
    name: 'serving is off',
    rollout: rollout('a', 'a'),
    model: makeModel({ online: { replicas: { min: 0, max: 10 } } }),
    want: ['False Off', 'False UpToDate', 'False AsExpected'],
  },
];

describe('conditions', () => {
  test.each(cases)('$name', ({ rollout, revisions = [], failure, notOwned = [], model = makeModel(), want }) => {
    const { conditions } = makeStatus({ model, rollout, revisions, failure, notOwned, now });
    expect(conditions?.map(({ status, reason }) => `${status} ${reason}`)).toEqual(want);
  });

  test('a failing update says what failed, and that the old revision goes on', () => {
    const { conditions } = makeStatus({
      model: makeModel(),
      rollout: rollout('b', 'a'),
      revisions: [revision('a')],
      failure,
      notOwned: [],
      now,
    });
    expect(conditions?.find(({ type }) => type === 'Progressing')?.message).toBe(
      'revision b: container server ended with exit code 1: no such file; revision a goes on serving',
    );
  });

  test('a condition keeps its time of transition as long as its status stays', () => {
    const first = statusOf(makeModel(), 'a');
    const later = makeStatus({
      model: { ...makeModel(), status: first },
      rollout: rollout('b', 'a'),
      revisions: [revision('a')],
      failure: undefined,
      notOwned: [],
      now: new Date('2026-01-01T13:00:00Z'),
    });
    expect(later.conditions?.map(({ type, lastTransitionTime }) => [type, lastTransitionTime])).toEqual([
      ['Ready', '2026-01-01T12:00:00Z'],
      ['Progressing', '2026-01-01T13:00:00Z'],
      ['Degraded', '2026-01-01T12:00:00Z'],
    ]);
  });
});

function statusOf(model: RiskModel, stable: string): RiskModelStatus {
  return makeStatus({
    model,
    rollout: rollout(stable, stable),
    revisions: [revision(stable)],
    failure: undefined,
    notOwned: [],
    now,
  });
}

test('a status that says the same is the same, an hour later too', () => {
  const first = statusOf(makeModel(), 'a');
  const again = makeStatus({
    model: { ...makeModel(), status: first },
    rollout: rollout('a', 'a'),
    revisions: [revision('a')],
    failure: undefined,
    notOwned: [],
    now: new Date('2026-01-01T13:00:00Z'),
  });
  expect(isSameStatus(first, again)).toBe(true);
});

test('what the status names', () => {
  expect(statusOf(makeModel({}, { generation: 7 }), 'a')).toMatchObject({
    observedGeneration: 7,
    revision: 'a',
    replicas: 2,
    readyReplicas: 2,
    url: 'http://credit-default.risk.svc',
    selector: 'app.kubernetes.io/name=riskmodel,riskmodel.io/model=credit-default,app.kubernetes.io/component=server',
  });
});

describe('the artifact', () => {
  const pinned = makeModel();
  const { uri, sha256 } = pinned.spec.artifact;
  const loaded = { uri, sha256: 'ab'.repeat(32), generation: '17' };
  const told = { resolvedUri: uri, sha256: 'ab'.repeat(32), generation: '17' };

  function artifactOf(model: RiskModel, stable: string | undefined, given?: typeof loaded): unknown {
    const input = { model, rollout: rollout('b', stable), revisions: [revision('a')], failure: undefined };
    return makeStatus({ ...input, notOwned: [], loaded: given, now }).artifact;
  }

  test('is what the pods have loaded', () => {
    expect(artifactOf(pinned, 'a', loaded)).toEqual(told);
  });

  test('is what the manifest says before any pod has told', () => {
    expect(artifactOf(pinned, undefined)).toEqual({ resolvedUri: uri, sha256 });
  });

  test('stays as it was told of the revision that serves, while nobody can say', () => {
    const status = { revision: 'a', artifact: told };
    expect(artifactOf({ ...pinned, status }, 'a')).toEqual(told);
    expect(artifactOf({ ...pinned, status }, 'b')).toEqual({ resolvedUri: uri, sha256 });
  });
});
