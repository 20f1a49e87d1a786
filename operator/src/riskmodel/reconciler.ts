import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import { checkSemantics } from '@riskmodel/core/riskmodel/semantic-checks.ts';
import type { LoadedArtifact } from '@riskmodel/core/serving/loaded-artifact.ts';
import type { RiskModel, RiskModelStatus } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ApplyOptions } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import type { Requeue } from '../runtime/controller.ts';
import type { EventRecorder } from '../runtime/event-recorder.ts';
import type { StoreEvent } from '../runtime/store.ts';
import { Applier, fieldManager, NotOwnedError, type Writer } from './applier.ts';
import { gather, podsOf, type Observed, type StoreOf } from './gather.ts';
import { annotations } from './labels.ts';
import { lastBatchOf, untilNextLook, type ModelBatches } from './last-batch.ts';
import { revisionObjectName, workerName } from './names.ts';
import { findPodFailure } from './pod-failure.ts';
import { isRedisUnavailable } from './redis-access.ts';
import {
  autoscalers,
  configMaps,
  deployments,
  healthCheckPolicies,
  httpRoutes,
  podMonitorings,
  riskModels,
  scaledObjects,
  services,
} from './resource-types.ts';
import {
  makeDisruptionBudget,
  makeNetworkPolicy,
  makeRevisionConfigMap,
  makeRevisionService,
  makeServiceAccount,
  makeStableService,
  makeWorkerConfigMap,
} from './resources/make-access.ts';
import { makeServerAutoscaler, makeWorkerAutoscaler, makeWorkerScaledObject } from './resources/make-autoscaling.ts';
import { makeHealthCheckPolicy, makeHttpRoute, makePodMonitoring } from './resources/make-gke.ts';
import { desiredRevision, makeServerDeployment } from './resources/make-server-deployment.ts';
import { makeWorkerDeployment } from './resources/make-worker-deployment.ts';
import { planRollout, revisionState, type Rollout } from './rollout.ts';
import type { WorkloadSettings } from './settings.ts';
import { eventsOf } from './status-events.ts';
import { isSameStatus, makeStatus } from './status.ts';

export const finalizer = 'riskmodel.io/queues';

/** The writes that a reconciler makes. */
export interface ReconcilerClient extends Writer {
  applyStatus(object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
}

/** What of a model lies outside of the cluster. */
export interface ModelQueues {
  /** Makes the model's schedules in Redis those of its spec, and tells what batches it has. */
  sync(model: RiskModel): Promise<ModelBatches>;
  /** Which file a revision's pods have loaded; undefined when none of them has told. */
  loadedArtifact(model: RiskModel, revision: string): Promise<LoadedArtifact | undefined>;
  /** Takes the model's schedules and waiting batches out of Redis. */
  remove(model: RiskModel): Promise<void>;
}

export interface ReconcilerDeps {
  client: ReconcilerClient;
  storeOf: StoreOf;
  /** Whether the cluster has a kind at the moment. */
  hasType: (type: ResourceType) => boolean;
  queues: ModelQueues;
  events: Pick<EventRecorder, 'record'>;
  settings: WorkloadSettings;
  logger: Logger;
  now: () => Date;
}

/** Makes the cluster what a RiskModel says, from what there is. */
export class RiskModelReconciler {
  readonly #deps: ReconcilerDeps;
  readonly #applier: Applier;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#applier = new Applier(deps.client, (type, key) => deps.storeOf(type).get(key));
  }

  /** To be told of every change of a cache. */
  take(event: StoreEvent): void {
    this.#applier.take(event);
  }

  async reconcile(key: string): Promise<Requeue | undefined> {
    // A cache that does not have a model has heard of its end, or not yet of its beginning.
    const isThere = this.#deps.storeOf(riskModels).get(key) !== undefined;
    const object = isThere ? this.#applier.live(riskModels, key) : undefined;
    if (object === undefined) return undefined;
    const model = object as unknown as RiskModel;
    if (object.metadata.deletionTimestamp !== undefined) return this.#finalize(model);
    if (await this.#addFinalizer(model)) return undefined;
    // What the schema can't say; until it is put right, what serves goes on serving.
    const [problem] = checkSemantics(model);
    if (problem !== undefined) return this.#reportInvalid(model, `${problem.path}: ${problem.message}`);

    const observed = gather(model, this.#deps.storeOf, this.#applier);
    const rollout = this.#plan(model, observed);
    const notOwned = await this.#apply(model, observed, rollout);
    const batches = await this.#syncQueue(model);
    const loaded = batches && (await this.#loadedArtifact(model, rollout));
    await this.#writeStatus(model, rollout, notOwned, batches, loaded);
    const nextLookMs = untilNextLook(batches, this.#deps.now());
    return { requeueAfterMs: Math.min(rollout.requeueAfter ?? nextLookMs, nextLookMs) };
  }

  /** What Redis says, or nothing while it is away: that keeps a model from nothing but batches. */
  async #syncQueue(model: RiskModel): Promise<ModelBatches | undefined> {
    const { queues, logger } = this.#deps;
    try {
      return await queues.sync(model);
    } catch (error) {
      if (!isRedisUnavailable(error)) throw error;
      const { name, namespace } = model.metadata;
      logger.debug({ model: name, namespace, err: error }, 'the schedules and the last batch stay as they are');
      return undefined;
    }
  }

  async #loadedArtifact(model: RiskModel, { stable }: Rollout): Promise<LoadedArtifact | undefined> {
    if (stable === undefined) return undefined;
    try {
      return await this.#deps.queues.loadedArtifact(model, stable);
    } catch (error) {
      if (!isRedisUnavailable(error)) throw error;
      return undefined;
    }
  }

  #plan(model: RiskModel, { revisions, selected }: Observed): Rollout {
    const { settings, now } = this.#deps;
    return planRollout({
      model,
      desired: desiredRevision(model, settings),
      selected,
      revisions,
      now: now(),
      drainMs: 2_000 * settings.drainSeconds,
    });
  }

  /** Applies everything, in the order in which it is needed. Returns what is in the way. */
  async #apply(model: RiskModel, observed: Observed, rollout: Rollout): Promise<string[]> {
    try {
      await this.#applyRevision(model, rollout);
      await this.#scale(model, observed, rollout);
      await this.#moveTraffic(model, observed, rollout);
      await this.#applyWorkers(model);
      await this.#prune(model, observed, rollout);
      return [];
    } catch (error) {
      if (error instanceof NotOwnedError) return [error.object];
      throw error;
    }
  }

  async #applyRevision(model: RiskModel, { desired, scale }: Rollout): Promise<void> {
    const { settings } = this.#deps;
    // First what pods need in order to start.
    await together([
      this.#applier.apply(makeServiceAccount(model, settings)),
      this.#applier.apply(makeNetworkPolicy(model, 'server')),
      this.#applier.apply(makeRevisionConfigMap(model, desired)),
    ]);
    const deployment = makeServerDeployment(model, desired, settings);
    await together([
      this.#applier.apply(deployment, withReplicas(deployment, scale.get(desired))),
      this.#applier.apply(makeRevisionService(model, desired)),
      this.#applier.apply(makeDisruptionBudget(model)),
    ]);
  }

  async #scale(model: RiskModel, observed: Observed, { scale, revive }: Rollout): Promise<void> {
    for (const [revision, replicas] of scale) {
      const deployment = observed.deployments.get(revision) ?? this.#deployment(model, revision);
      if (deployment === undefined) continue;
      const revives = revive.includes(revision);
      // One that was just made has its pods.
      if (!revives && revisionState(deployment).replicas === replicas) continue;
      const retiredAt = revives ? undefined : deployment.metadata.annotations?.[annotations.retiredAt];
      await this.#applier.applyRollout(deployment, replicas, retirement(retiredAt));
    }
  }

  async #moveTraffic(model: RiskModel, observed: Observed, { stable, retire, revive, scale }: Rollout): Promise<void> {
    if (stable === undefined) return;
    await together([
      this.#applier.apply(makeStableService(model, stable)),
      model.spec.online.replicas.min > 0
        ? this.#applier.apply(makeServerAutoscaler(model, stable))
        : this.#delete(model, autoscalers, model.metadata.name),
    ]);
    for (const revision of retire) {
      const deployment = observed.deployments.get(revision);
      if (deployment === undefined) continue;
      const { replicas } = revisionState(deployment);
      await this.#applier.applyRollout(deployment, replicas, retirement(this.#deps.now().toISOString()));
    }
    await this.#exposeTraffic(model);
    const revived = revive.includes(stable) && !scale.has(stable) ? observed.deployments.get(stable) : undefined;
    if (revived !== undefined) await this.#applier.applyRollout(revived, revisionState(revived).replicas, {});
  }

  /** What the cluster has an API for. */
  async #exposeTraffic(model: RiskModel): Promise<void> {
    const { hasType, settings } = this.#deps;
    if (hasType(podMonitorings)) await this.#applier.apply(makePodMonitoring(model));
    if (settings.gateway === undefined) {
      // What was published at a Gateway that is named no longer.
      await this.#delete(model, httpRoutes, model.metadata.name);
      await this.#delete(model, healthCheckPolicies, model.metadata.name);
      return;
    }
    if (!hasType(httpRoutes)) return;
    await this.#applier.apply(makeHttpRoute(model, settings.gateway));
    if (hasType(healthCheckPolicies)) await this.#applier.apply(makeHealthCheckPolicy(model));
  }

  async #applyWorkers(model: RiskModel): Promise<void> {
    const { settings, hasType } = this.#deps;
    const worker = workerName(model.metadata.name);
    await together([
      this.#applier.apply(makeWorkerConfigMap(model)),
      this.#applier.apply(makeNetworkPolicy(model, 'queue-worker')),
    ]);
    const scaledObject = hasType(scaledObjects) ? makeWorkerScaledObject(model, settings) : undefined;
    if (scaledObject !== undefined) await this.#delete(model, autoscalers, worker);
    await together([
      this.#applier.apply(makeWorkerDeployment(model, settings)),
      this.#applier.apply(scaledObject ?? makeWorkerAutoscaler(model)),
    ]);
  }

  /** Removes revisions that are kept no longer, and what is left of others. */
  async #prune(model: RiskModel, observed: Observed, { prune, desired }: Rollout): Promise<void> {
    const left = [...observed.names].filter((revision) => revision !== desired && !observed.deployments.has(revision));
    for (const revision of new Set([...prune, ...left])) {
      const name = revisionObjectName(model.metadata.name, revision);
      await this.#delete(model, services, name);
      await this.#delete(model, deployments, name);
      await this.#delete(model, configMaps, name);
    }
  }

  #deployment(model: RiskModel, revision: string): KubeObject | undefined {
    const { name, namespace = '' } = model.metadata;
    return this.#applier.live(deployments, `${namespace}/${revisionObjectName(name, revision)}`);
  }

  async #delete(model: RiskModel, type: ResourceType, name: string): Promise<void> {
    const { namespace = '', uid } = model.metadata;
    await this.#applier.delete(type, { namespace, name }, uid);
  }

  async #writeStatus(
    model: RiskModel,
    rollout: Rollout,
    notOwned: string[],
    batches: ModelBatches | undefined,
    loaded: LoadedArtifact | undefined,
  ): Promise<void> {
    const { storeOf, now } = this.#deps;
    // As it is now, with what was just applied.
    const { revisions } = gather(model, storeOf, this.#applier);
    const failure =
      rollout.stable === rollout.desired ? undefined : findPodFailure(podsOf(model, rollout.desired, storeOf));
    const made = makeStatus({ model, rollout, revisions, failure, notOwned, loaded, now: now() });
    const { lastBatch: before, ...status } = made;
    const lastBatch = batches === undefined ? before : lastBatchOf(before, batches.newest);
    await this.#applyStatus(model, { ...status, ...(lastBatch && { lastBatch }) });
  }

  async #applyStatus(model: RiskModel, status: RiskModelStatus): Promise<void> {
    if (isSameStatus(model.status, status)) return;
    const { name, namespace = '' } = model.metadata;
    const { apiVersion, kind } = model;
    const written = await this.#deps.client.applyStatus(
      { apiVersion, kind, metadata: { name, namespace }, status },
      { fieldManager, force: true },
    );
    this.#applier.remember(riskModels, written);
    for (const event of eventsOf(model.status?.conditions ?? [], status.conditions ?? [])) {
      this.#deps.events.record(model as unknown as KubeObject, event);
    }
  }

  async #reportInvalid(model: RiskModel, message: string): Promise<undefined> {
    const { now } = this.#deps;
    const time = now()
      .toISOString()
      .replace(/\.\d+Z$/, 'Z');
    const { generation = 0 } = model.metadata;
    const before = model.status?.conditions ?? [];
    const progressing = before.find(({ type }) => type === 'Progressing');
    const lastTransitionTime = progressing?.status === 'False' ? progressing.lastTransitionTime : time;
    const condition = {
      type: 'Progressing',
      status: 'False' as const,
      reason: 'InvalidManifest',
      message,
      observedGeneration: generation,
      lastTransitionTime,
    };
    await this.#applyStatus(model, {
      ...model.status,
      observedGeneration: generation,
      conditions: [...before.filter(({ type }) => type !== 'Progressing'), condition],
    });
    return undefined;
  }

  async #addFinalizer(model: RiskModel): Promise<boolean> {
    const { finalizers = [] } = model.metadata;
    if (finalizers.includes(finalizer)) return false;
    this.#applier.remember(riskModels, await this.#patchFinalizers(model, [...finalizers, finalizer]));
    return true;
  }

  async #finalize(model: RiskModel): Promise<undefined> {
    const { finalizers = [], name, namespace = '' } = model.metadata;
    if (!finalizers.includes(finalizer)) return undefined;
    await this.#deps.queues.remove(model);
    await this.#patchFinalizers(
      model,
      finalizers.filter((other) => other !== finalizer),
    );
    this.#deps.logger.info({ model: name, namespace }, 'model removed');
    return undefined;
  }

  async #patchFinalizers(model: RiskModel, finalizers: string[]): Promise<KubeObject> {
    const { name, namespace = '', resourceVersion } = model.metadata as KubeObject['metadata'];
    return this.#deps.client.patch(
      riskModels,
      { namespace, name },
      { metadata: { finalizers, resourceVersion } },
      { type: 'merge', fieldManager },
    );
  }
}

function retirement(retiredAt: string | undefined): Record<string, string> {
  return retiredAt === undefined ? {} : { [annotations.retiredAt]: retiredAt };
}

/** The Deployment with a number of pods, where there is one to begin with. */
function withReplicas(deployment: KubeObject, replicas: number | undefined): KubeObject {
  return replicas === undefined ? deployment : { ...deployment, spec: { ...(deployment['spec'] as object), replicas } };
}

/** Ends when all have ended, and then fails with the first that failed: no write is left under way. */
async function together(writes: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(writes)).find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}
