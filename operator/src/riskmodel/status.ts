import { isDeepStrictEqual } from 'node:util';
import type { LoadedArtifact } from '@riskmodel/core/serving/loaded-artifact.ts';
import type { Condition, RiskModel, RiskModelStatus } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { labels, podSelector } from './labels.ts';
import { stableServiceName } from './names.ts';
import type { PodFailure } from './pod-failure.ts';
import type { RevisionState, Rollout } from './rollout.ts';

export interface StatusInput {
  model: RiskModel;
  rollout: Rollout;
  revisions: readonly RevisionState[];
  /** What keeps the desired revision from becoming ready. */
  failure: PodFailure | undefined;
  /** Objects of the right name that belong to somebody else, as `Service credit-default`. */
  notOwned: readonly string[];
  /** What the pods of the revision that serves have loaded, as far as they have told. */
  loaded?: LoadedArtifact | undefined;
  now: Date;
}

type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

/** The status of a model, whole. Conditions keep their `lastTransitionTime` as long as their status stays. */
export function makeStatus(input: StatusInput): RiskModelStatus {
  const { model, rollout, revisions, now } = input;
  const { name, namespace = 'default', generation = 0 } = model.metadata;
  const stable = revisions.find(({ revision }) => revision === rollout.stable);
  const previous = model.status?.conditions ?? [];
  const conditions = (
    [
      ['Ready', readiness(input, stable)],
      ['Progressing', progress(input)],
      ['Degraded', degradation(input, stable)],
    ] as const
  ).map(([type, verdict]) => makeCondition(type, verdict, previous, generation, now));
  return {
    ...model.status,
    observedGeneration: generation,
    conditions,
    ...(rollout.stable === undefined ? {} : { revision: rollout.stable }),
    replicas: stable?.replicas ?? 0,
    readyReplicas: stable?.available ?? 0,
    artifact: artifactOf(input),
    selector: selectorText(podSelector(name, 'server')),
    url: `http://${stableServiceName(name)}.${namespace}.svc`,
  };
}

/** What is served, rather than what the manifest asks for: during an update that is another file. */
function artifactOf({ model, rollout, loaded }: StatusInput): NonNullable<RiskModelStatus['artifact']> {
  if (loaded !== undefined) {
    const { uri: resolvedUri, sha256, generation } = loaded;
    return { resolvedUri, sha256, ...(generation !== undefined && { generation }) };
  }
  const before = model.status?.artifact;
  const isSameRevision = rollout.stable !== undefined && rollout.stable === model.status?.revision;
  if (before !== undefined && isSameRevision) return before;
  const { uri: resolvedUri, sha256 } = model.spec.artifact;
  return { resolvedUri, ...(sha256 !== undefined && { sha256 }) };
}

/** Whether two statuses say the same, so that writing the second would tell nobody anything. */
export function isSameStatus(a: RiskModelStatus | undefined, b: RiskModelStatus): boolean {
  return isDeepStrictEqual(a, b);
}

function readiness({ model, failure, notOwned, rollout }: StatusInput, stable: RevisionState | undefined): Verdict {
  if (notOwned.length > 0) {
    return no(
      'NotOwned',
      `${notOwned.join(', ')} exists and does not belong to this RiskModel: rename the RiskModel, or remove what is in its way`,
    );
  }
  if (model.spec.online.replicas.min === 0) return no('Off', 'spec.online.replicas.min is 0: online serving is off');
  if (stable === undefined) {
    return failure === undefined
      ? no('Deploying', `revision ${rollout.desired} is becoming ready`)
      : no(failure.reason, `revision ${rollout.desired}: ${failure.message}`);
  }
  if (stable.available === 0) return no('NoReadyPods', `revision ${stable.revision} has no pod that is ready`);
  return yes('Serving', `revision ${stable.revision} answers`);
}

function progress({ rollout, failure }: StatusInput): Verdict {
  if (rollout.stable === rollout.desired)
    return no('UpToDate', `revision ${rollout.desired} is the one that the manifest asks for`);
  if (failure !== undefined) {
    const staying = rollout.stable === undefined ? '' : `; revision ${rollout.stable} goes on serving`;
    return no(failure.reason, `revision ${rollout.desired}: ${failure.message}${staying}`);
  }
  return yes('RollingOut', `revision ${rollout.desired} is becoming ready`);
}

function degradation({ rollout, failure, notOwned }: StatusInput, stable: RevisionState | undefined): Verdict {
  if (notOwned.length > 0) return yes('NotOwned', `${notOwned.join(', ')} is not this RiskModel's`);
  if (failure !== undefined && rollout.stable !== rollout.desired) {
    return yes(failure.reason, `revision ${rollout.desired} does not become ready`);
  }
  if (stable !== undefined && stable.available < stable.replicas) {
    return yes('PodsMissing', `revision ${stable.revision} has fewer ready pods than it should`);
  }
  return no('AsExpected', 'nothing is wrong');
}

function makeCondition(
  type: string,
  verdict: Verdict,
  previous: readonly Condition[],
  observedGeneration: number,
  now: Date,
): Condition {
  const before = previous.find((condition) => condition.type === type);
  const lastTransitionTime =
    before !== undefined && before.status === verdict.status
      ? before.lastTransitionTime
      : now.toISOString().replace(/\.\d+Z$/, 'Z');
  return { type, ...verdict, observedGeneration, lastTransitionTime };
}

const yes = (reason: string, message: string): Verdict => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });

function selectorText(selector: Record<string, string>): string {
  return Object.entries(selector)
    .filter(([key]) => key !== labels.revision)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
