import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { KubeObject } from '../kube/object.ts';
import { annotations, labels, revisionOf } from './labels.ts';

/** What of a Deployment a rollout looks at. */
export interface RevisionState {
  revision: string;
  /** Pods asked for. */
  replicas: number;
  /** Pods that have been ready for a moment. */
  available: number;
  /** Whether the counts above are of the Deployment as it is now. */
  isObserved: boolean;
  /** Since when traffic goes elsewhere; undefined for a revision that has traffic, or never had any. */
  retiredAt: Date | undefined;
}

/** What to do about a model's revisions. */
export interface Rollout {
  /** The revision that the manifest asks for. */
  desired: string;
  /** The revision that traffic goes to, after this; undefined as long as none was ever ready. */
  stable: string | undefined;
  /** Pods that revisions are to have, where they have another number and it is ours to say. */
  scale: Map<string, number>;
  /** Revisions that stop being stable now. */
  retire: string[];
  /** Revisions that are wanted again after having been retired. */
  revive: string[];
  /** Revisions to be deleted with all that is theirs. */
  prune: string[];
  /** When to look again although nothing has changed, in milliseconds. */
  requeueAfter: number | undefined;
}

export interface RolloutInput {
  model: RiskModel;
  desired: string;
  /** The revision that traffic goes to. */
  selected: string | undefined;
  revisions: readonly RevisionState[];
  now: Date;
  /** How long a revision keeps its pods after traffic has moved away from it. */
  drainMs: number;
}

/**
 * Decides, from what there is, how the revision that is asked for comes to serve: it becomes ready first, with as many
 * pods as the one that serves now; then traffic moves; then the old one drains and is kept at zero. A revision that
 * never becomes ready never gets traffic.
 */
export function planRollout({ model, desired, selected, revisions, now, drainMs }: RolloutInput): Rollout {
  const byName = new Map(revisions.map((state) => [state.revision, state]));
  const current = selected === undefined ? undefined : byName.get(selected);
  const candidate = byName.get(desired);
  const wanted = replicasFor(model, current);
  const isReady = candidate !== undefined && candidate.isObserved && candidate.available >= wanted;
  const stable = isReady ? desired : current?.revision;

  const scale = new Map<string, number>();
  // A revision that has traffic belongs to the autoscaler; one that shall get it is made as large as the one it follows.
  if (desired !== current?.revision && candidate?.replicas !== wanted) scale.set(desired, wanted);
  // Nobody else scales to none, or back from it.
  if (desired === current?.revision && (wanted === 0) !== (candidate?.replicas === 0)) scale.set(desired, wanted);

  const { keep, prune } = splitHistory(
    revisions,
    [desired, stable, current?.revision],
    model.spec.revisionHistoryLimit,
  );
  let requeueAfter: number | undefined;
  for (const { revision, replicas, retiredAt } of keep) {
    if (replicas === 0 || retiredAt === undefined) continue;
    const left = retiredAt.getTime() + drainMs - now.getTime();
    if (left <= 0) scale.set(revision, 0);
    else requeueAfter = Math.min(requeueAfter ?? left, left);
  }
  return {
    desired,
    stable,
    scale,
    retire: stable !== undefined && current !== undefined && stable !== current.revision ? [current.revision] : [],
    revive: candidate?.retiredAt === undefined ? [] : [desired],
    prune: prune.map(({ revision }) => revision),
    requeueAfter,
  };
}

/** Pods that a revision needs before traffic may move to it. */
function replicasFor(model: RiskModel, current: RevisionState | undefined): number {
  const { min, max } = model.spec.online.replicas;
  if (min === 0) return 0;
  return Math.min(Math.max(min, current?.replicas ?? 0), Math.max(min, max));
}

/** Of the revisions not in use: those that have served, newest first and up to the limit, are kept. */
function splitHistory(
  revisions: readonly RevisionState[],
  inUse: readonly (string | undefined)[],
  limit: number,
): { keep: RevisionState[]; prune: RevisionState[] } {
  const unused = revisions.filter(({ revision }) => !inUse.includes(revision));
  const served = unused
    .filter(({ retiredAt }) => retiredAt !== undefined)
    .toSorted((a, b) => Number(b.retiredAt) - Number(a.retiredAt) || (a.revision < b.revision ? -1 : 1));
  // One that is neither in use nor retired was given up before it was ever ready.
  const neverServed = unused.filter(({ retiredAt }) => retiredAt === undefined);
  return { keep: served.slice(0, limit), prune: [...served.slice(limit), ...neverServed] };
}

/** Reads the state of a revision off its Deployment. */
export function revisionState(deployment: KubeObject): RevisionState {
  const spec = deployment['spec'] as { replicas?: number } | undefined;
  const status = deployment['status'] as { availableReplicas?: number; observedGeneration?: number } | undefined;
  const retiredAt = deployment.metadata.annotations?.[annotations.retiredAt];
  return {
    revision: revisionOf(deployment) ?? '',
    replicas: spec?.replicas ?? 1,
    available: status?.availableReplicas ?? 0,
    isObserved: (status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0),
    retiredAt: retiredAt === undefined ? undefined : new Date(retiredAt),
  };
}

/** The revision that a Service sends traffic to. */
export function selectedRevision(service: KubeObject | undefined): string | undefined {
  const spec = service?.['spec'] as { selector?: Record<string, string> } | undefined;
  return spec?.selector?.[labels.revision];
}
