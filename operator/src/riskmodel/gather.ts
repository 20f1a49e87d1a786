import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { keyOf, type KubeObject } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import type { ReadonlyStore } from '../runtime/store.ts';
import type { Applier } from './applier.ts';
import { labels, revisionOf } from './labels.ts';
import { stableServiceName } from './names.ts';
import { configMaps, deployments, pods, services } from './resource-types.ts';
import { revisionState, selectedRevision, type RevisionState } from './rollout.ts';

/** All that a reconcile of a model looks at. */
export interface Observed {
  revisions: RevisionState[];
  /** Deployments of revisions, by revision. */
  deployments: Map<string, KubeObject>;
  /** The revision that traffic goes to: the stable Service says so, and the status should somebody have deleted it. */
  selected: string | undefined;
  /** Revisions of which anything is left. */
  names: Set<string>;
}

export type StoreOf = (type: ResourceType) => ReadonlyStore;

/** The only reads of a reconcile: from the caches, with what was just written taken into account. */
export function gather(model: RiskModel, storeOf: StoreOf, applier: Applier): Observed {
  const { uid = '', name, namespace = '' } = model.metadata;
  const owned = (type: ResourceType): KubeObject[] =>
    storeOf(type)
      .byOwner(uid)
      .map(({ metadata }) => applier.live(type, keyOf(metadata)))
      .filter((object) => object !== undefined);
  const byRevision = new Map<string, KubeObject>();
  for (const deployment of owned(deployments)) {
    const revision = revisionOf(deployment);
    if (revision !== undefined && deployment.metadata.deletionTimestamp === undefined)
      byRevision.set(revision, deployment);
  }
  const names = new Set(
    [...owned(configMaps), ...owned(services), ...byRevision.values()]
      .map(revisionOf)
      .filter((revision) => revision !== undefined),
  );
  return {
    revisions: [...byRevision.values()].map(revisionState),
    deployments: byRevision,
    selected:
      selectedRevision(applier.live(services, keyOf({ namespace, name: stableServiceName(name) }))) ??
      model.status?.revision,
    names,
  };
}

/** The pods of one revision of a model. */
export function podsOf(model: RiskModel, revision: string, storeOf: StoreOf): KubeObject[] {
  return storeOf(pods)
    .byLabel(labels.revision, revision)
    .filter(
      ({ metadata }) =>
        metadata.namespace === model.metadata.namespace && metadata.labels?.[labels.model] === model.metadata.name,
    );
}
