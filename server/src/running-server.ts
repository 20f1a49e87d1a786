import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore, stagingUriOf } from '@riskmodel/core/backend/open-backend.ts';
import { TriggerRegistry } from '@riskmodel/core/batches/trigger-registry.ts';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { openQueue } from '@riskmodel/core/batches/queue.ts';
import { mayPass, messageOf } from '@riskmodel/core/errors.ts';
import { loadModel, type Model } from '@riskmodel/core/model/model.ts';
import { openSession } from '@riskmodel/core/model/session.ts';
import { PredictionTable } from '@riskmodel/core/lookup/prediction-table.ts';
import { connectRedis, type ConnectionPurpose } from '@riskmodel/core/redis/connect.ts';
import { readManifests } from '@riskmodel/core/riskmodel/manifest-files.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { tellLoadedArtifact } from '@riskmodel/core/serving/loaded-artifact.ts';
import { collectStartGarbage } from '@riskmodel/core/start-garbage.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import { version } from '@riskmodel/core/version.ts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { makeHandler, makeLoadingHandler, type BaseDeps } from './app.ts';
import { AuditLog } from './auth/audit-log.ts';
import type { Guard } from './auth/guard.ts';
import { openGuard } from './auth/open-guard.ts';
import { RedisBatchService } from './batches/batch-service.ts';
import { DrainingServer } from './http/draining-server.ts';
import { RedisPredictionLookup } from './lookup/prediction-lookup.ts';
import { Readiness } from './readiness.ts';
import { serveModel } from './serving/served-model.ts';
import { ServedModels } from './serving/served-models.ts';
import type { ServerSettings } from './settings.ts';
import { makeMetrics } from './telemetry/metrics.ts';

/** Requests that wait for a batch are told to come back this long before the grace period ends. */
const lastCallMilliseconds = 2_000;
/** Clients in the middle of a conversation learn in this time, by `Connection: close`, that they should go elsewhere. */
const lingerMilliseconds = 100;
const longestRetryMilliseconds = 10_000;
const longestTellMilliseconds = 1_000;

/** The whole server: listening from the start, ready when its models are, closed without a trace. */
export class RunningServer {
  readonly #settings: ServerSettings;
  readonly #logger: Logger;
  readonly #base: BaseDeps;
  readonly #audit: AuditLog;
  readonly #server: DrainingServer;
  /** Given when the server begins to stop. */
  readonly #stopping = new AbortController();
  /** Given when answers can't be waited for any longer. */
  readonly #closing = new AbortController();
  /** What to close at the end, in this order. */
  readonly #resources: (() => Promise<unknown>)[] = [];

  constructor(settings: ServerSettings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
    this.#base = { readiness: new Readiness(), logger, metrics: makeMetrics(), project: settings.project };
    this.#audit = new AuditLog(logger);
    this.#server = new DrainingServer(makeLoadingHandler(this.#base));
  }

  /**
   * Listens, loads and warms up the models, and becomes ready. What may pass, such as a storage that does not answer, is
   * tried again until it does.
   *
   * @throws RiskModelError when a model can't be served; the caller still has to `stop`
   */
  async start(): Promise<void> {
    const { port, host, manifests, defaultModel } = this.#settings;
    const listeningPort = await this.#server.listen(port, host);
    this.#logger.info({ port: listeningPort, host }, 'listening');
    const guard = await this.#openGuard();
    const store = await openStore(this.#settings.backend, tmpdir());
    const models: Model[] = [];
    for (const manifest of await readManifests(manifests)) {
      const model = await this.#loadModel(manifest, store);
      if (model === undefined) return;
      models.push(model);
    }
    if (this.#stopping.signal.aborted) return;
    await this.#serve(models, store, guard, defaultModel);
  }

  /** Undefined when the server is stopped meanwhile. */
  async #loadModel(manifest: RiskModel, store: ObjectStore): Promise<Model | undefined> {
    const { name } = manifest.metadata;
    const { signal } = this.#stopping;
    for (let pause = 1_000; !signal.aborted; pause = Math.min(pause * 2, longestRetryMilliseconds)) {
      try {
        const started = performance.now();
        const model = await loadModel(manifest, store, openSession);
        this.#resources.push(() => model.session.release());
        const { version, sha256 } = model;
        this.#logger.info(
          { model: name, version, sha256, seconds: (performance.now() - started) / 1_000 },
          'model loaded',
        );
        return model;
      } catch (error) {
        if (!mayPass(error)) throw error;
        this.#base.readiness.markNotReady(`loading model ${name}: ${messageOf(error)}`);
        this.#logger.warn({ err: error, model: name }, 'model not loaded yet, trying again');
        await sleep(pause, undefined, { signal }).catch(() => {});
      }
    }
    return undefined;
  }

  async #serve(
    models: readonly Model[],
    objects: ObjectStore,
    guard: Guard,
    defaultModel: string | undefined,
  ): Promise<void> {
    const { redisPrefix: prefix, bodyLimit } = this.#settings;
    const { metrics, readiness } = this.#base;
    const wantsCache = models.some(({ manifest }) => manifest.spec.online.cache !== undefined);
    const cache = wantsCache ? { redis: this.#connect('cache'), prefix } : undefined;
    const wantsFeatures = models.some(({ manifest }) => manifest.spec.online.features !== undefined);
    const features = wantsFeatures ? { redis: this.#connect('features'), prefix } : undefined;
    const redis = this.#connect('request');
    const told = Promise.all(models.map((model) => this.#tellWhatIsLoaded(model, redis)));
    const queues = new Map(models.map(({ name }) => [name, this.#openQueue(name, redis)]));
    const batches = new RedisBatchService({
      store: new BatchStore(redis, prefix),
      queues,
      objects,
      triggers: new TriggerRegistry(redis, prefix),
      stagingUri: stagingUriOf(this.#settings.backend),
      now: () => new Date(),
    });
    metrics.watchQueues(() => batches.queueDepths());
    const served = new ServedModels(
      models.map((model) => serveModel(model, { metrics, cache, features })),
      defaultModel,
    );
    this.#server.handler = makeHandler({
      ...this.#base,
      models: served,
      batches,
      predictions: new RedisPredictionLookup(new PredictionTable(redis, prefix)),
      guard,
      audit: this.#audit,
      bodyLimit,
      version: version(),
      closing: this.#closing.signal,
    });
    // The operator looks when a pod has become ready. A Redis that is away keeps it from that for a moment only.
    await Promise.race([told, sleep(longestTellMilliseconds, undefined, { ref: false })]);
    if (this.#stopping.signal.aborted) return;
    readiness.markReady();
    this.#logger.info({ models: served.names }, 'ready');
    collectStartGarbage();
  }

  async #openGuard(): Promise<Guard> {
    const { auth, redisPrefix } = this.#settings;
    const { guard, close } = await openGuard(auth, {
      ...this.#base,
      audit: this.#audit,
      // Counting is worth no wait: without Redis each replica counts for itself.
      connectRedis: () => this.#connect('cache'),
      redisPrefix,
    });
    this.#resources.push(async () => close());
    if (auth.methods.length > 0) this.#logger.info({ methods: auth.methods }, 'callers are asked who they are');
    return guard;
  }

  /** So that the model's status can say it. Serving does not depend on it. */
  async #tellWhatIsLoaded({ name, manifest, sha256, generation }: Model, redis: Redis): Promise<void> {
    const { revision, redisPrefix: prefix } = this.#settings;
    if (revision === undefined) return;
    const { uri } = manifest.spec.artifact;
    try {
      await tellLoadedArtifact(redis, { prefix, model: name, revision }, { uri, sha256, generation });
    } catch (err) {
      this.#logger.warn({ err, model: name }, 'the status of the model will not say which file is served');
    }
  }

  #connect(purpose: ConnectionPurpose): Redis {
    const redis = connectRedis(
      this.#settings.redisUrl,
      purpose,
      (err) => this.#logger.warn({ err, purpose }, 'Redis does not answer'),
      () => this.#logger.info({ purpose }, 'Redis answers again'),
    );
    this.#resources.push(() => Promise.resolve(redis.disconnect()));
    return redis;
  }

  #openQueue(model: string, redis: Redis): Queue {
    const queue = openQueue(model, redis, this.#settings.redisPrefix);
    // BullMQ repeats the errors of the connection, which are reported there.
    queue.on('error', () => {});
    this.#resources.unshift(() => queue.close());
    return queue;
  }

  /** Stops taking requests, answers those in flight, and closes everything. */
  async stop(): Promise<void> {
    const { shutdownGrace } = this.#settings;
    const wasReady = this.#base.readiness.reason === undefined;
    // Nobody was sent to a server that was never ready.
    const drainDelay = wasReady ? this.#settings.drainDelay : 0;
    this.#base.readiness.markNotReady('shutting down');
    this.#stopping.abort();
    this.#server.startDraining();
    await sleep(Math.max(drainDelay * 1_000, lingerMilliseconds));

    const grace = shutdownGrace * 1_000;
    const lastCall = setTimeout(() => this.#closing.abort(), Math.max(grace - lastCallMilliseconds, grace / 2));
    const cutOff = await this.#server.close(grace);
    clearTimeout(lastCall);
    this.#closing.abort();
    if (cutOff > 0) this.#logger.warn({ requests: cutOff }, 'requests cut off at the end of the grace period');

    for (const close of this.#resources)
      await Promise.race([close().catch(() => {}), sleep(1_000, undefined, { ref: false })]);
    this.#logger.info('stopped');
  }
}
