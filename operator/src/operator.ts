import type { Redis } from 'ioredis';
import type { Check } from '@riskmodel/core/telemetry/health-server.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { KubeClient } from './kube/client.ts';
import { batchPredictions } from './batchprediction/resource-type.ts';
import { BatchPredictionReconciler } from './batchprediction/reconciler.ts';
import { RedisRuns } from './batchprediction/runs.ts';
import { appeared, enqueueModelOfRun, enqueueWaitingRuns, stateChanged } from './batchprediction/watches.ts';
import { keyOf, type KubeObject } from './kube/object.ts';
import { contentChanged, podFailureChanged, podState, withoutStatus } from './riskmodel/cached-parts.ts';
import { labels, managedBy } from './riskmodel/labels.ts';
import { RedisModelQueues } from './riskmodel/model-queues.ts';
import { RiskModelReconciler } from './riskmodel/reconciler.ts';
import { deployments, optionalTypes, ownedTypes, pods, riskModels } from './riskmodel/resource-types.ts';
import { systemClock } from './runtime/clock.ts';
import { EventRecorder } from './runtime/event-recorder.ts';
import { Manager, type ManagerOptions } from './runtime/manager.ts';
import { anyOf, deletionChanged, generationChanged } from './runtime/predicates.ts';
import type { OperatorSettings } from './settings.ts';

export interface OperatorDeps {
  client: KubeClient;
  redis: Redis;
  logger: Logger;
  now: () => Date;
  /** What tests change of the manager's times. */
  manager?: Partial<ManagerOptions>;
}

/** Runs until the signal is aborted, or leadership is lost (see `Manager.run`). */
export interface Operator {
  /** Adds to what `/readyz` answers; to be called before `run`. */
  addReadyCheck(name: string, check: Check): void;
  run(signal: AbortSignal): Promise<void>;
  /** All RiskModels that are watched; undefined while they are not all known. */
  models(): readonly RiskModel[] | undefined;
}

const lease = 'riskmodel-operator';
/**
 * Reconciles of different objects of a kind at a time. Each has up to three writes under way; with more of them each
 * only waits longer for an API server that is busy.
 */
const concurrency = 4;

/**
 * The operator, ready to run: caches, and controllers that reconcile RiskModels and BatchPredictions while this replica
 * leads.
 */
export function makeOperator(
  settings: OperatorSettings,
  { client, redis, logger, now, manager: times }: OperatorDeps,
): Operator {
  const manager = new Manager({
    client,
    logger,
    namespace: settings.namespace,
    leaderElection: { lease: { namespace: settings.ownNamespace, name: lease }, identity: settings.identity },
    health: { port: settings.port },
    resyncMs: settings.resyncSeconds * 1_000,
    ...times,
  });
  // Only what belongs to models is cached: a cluster has far more of these than are ours.
  const labelSelector = `${labels.managedBy}=${managedBy}`;
  const held = ownedTypes.filter((type) => type !== deployments);
  manager.watch(deployments, { labelSelector });
  for (const type of held) manager.watch(type, { labelSelector, transform: withoutStatus });
  for (const type of optionalTypes) manager.watch(type, { labelSelector, optional: true, transform: withoutStatus });
  manager.watch(pods, { labelSelector: `${labels.name}=riskmodel,${labels.model}`, transform: podState });

  const events = new EventRecorder({
    client,
    controller: 'riskmodel.io/operator',
    instance: settings.identity,
    clock: systemClock,
    random: Math.random,
    logger,
  });
  const reconciler = new RiskModelReconciler({
    client,
    storeOf: (type) => manager.store(type),
    hasType: (type) => manager.isServed(type),
    events,
    queues: new RedisModelQueues(redis, settings.workloads, now),
    settings: settings.workloads,
    logger,
    now,
  });
  const controller = manager.addController({
    name: 'riskmodel',
    for: riskModels,
    // What changes in a model's status was written here.
    predicate: anyOf(generationChanged, deletionChanged),
    owns: [deployments, ...[...held, ...optionalTypes].map((type) => ({ type, predicate: contentChanged }))],
    watches: [
      { type: pods, map: modelOfPod, predicate: podFailureChanged },
      { type: batchPredictions, map: enqueueModelOfRun, predicate: stateChanged },
    ],
    concurrency,
    reconcile: async (key) => reconciler.reconcile(key),
  });
  for (const { type } of controller.watches) {
    manager.store(type).subscribe((event) => reconciler.take(event));
  }

  const runReconciler = new BatchPredictionReconciler({
    client,
    storeOf: (type) => manager.store(type),
    runs: new RedisRuns(redis, settings.workloads, now),
    events,
    logger,
    now,
  });
  manager.addController({
    name: 'batchprediction',
    for: batchPredictions,
    // What changes in a run's status was written here.
    predicate: anyOf(generationChanged, deletionChanged),
    watches: [
      { type: riskModels, map: enqueueWaitingRuns(() => manager.store(batchPredictions)), predicate: appeared },
    ],
    concurrency,
    reconcile: async (key) => runReconciler.reconcile(key),
  });
  manager.store(batchPredictions).subscribe((event) => {
    if (event.type === 'deleted') runReconciler.forget(event.object);
  });
  return {
    addReadyCheck: (name, check) => manager.addCheck('ready', name, check),
    models: () => (manager.hasSynced ? (manager.store(riskModels).list() as unknown as RiskModel[]) : undefined),
    run: (signal) => manager.run(signal).finally(() => events.stop()),
  };
}

function modelOfPod({ metadata }: KubeObject): string[] {
  const model = metadata.labels?.[labels.model];
  return model === undefined ? [] : [keyOf({ namespace: metadata.namespace ?? '', name: model })];
}
