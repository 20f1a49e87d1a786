import { keyOf, type KubeObject } from '../kube/object.ts';
import type { MapToKeys } from '../runtime/owner.ts';
import type { Predicate } from '../runtime/predicates.ts';
import type { ReadonlyStore } from '../runtime/store.ts';

interface Run {
  spec?: { model?: string };
  status?: { state?: string };
}

/** Maps a RiskModel to the BatchPredictions that wait for it. */
export function enqueueWaitingRuns(batchPredictions: () => ReadonlyStore): MapToKeys {
  return ({ metadata: { namespace, name } }) =>
    batchPredictions()
      .list(namespace)
      .filter((object) => modelOf(object) === name && stateOf(object) === undefined)
      .map(({ metadata }) => keyOf(metadata));
}

/** Maps a BatchPrediction to its RiskModel. */
export const enqueueModelOfRun: MapToKeys = (object) => {
  const name = modelOf(object);
  return name === undefined ? [] : [keyOf({ namespace: object.metadata.namespace ?? '', name })];
};

/** Passes what comes, as a RiskModel that is waited for does. */
export const appeared: Predicate = (event) => event.type === 'added';

/** Passes when a batch came to another state; how many of its rows are done changes too often to be told. */
export const stateChanged: Predicate = (event) =>
  event.type === 'updated' && stateOf(event.object) !== stateOf(event.old);

function modelOf(object: KubeObject): string | undefined {
  return (object as Run).spec?.model;
}

function stateOf(object: KubeObject): string | undefined {
  return (object as Run).status?.state;
}
