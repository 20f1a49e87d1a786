// A small controller-runtime: a manager keeps one cache a type, and runs controllers on them while it leads. Nothing
// in this folder knows what is being managed.
import { Registry } from 'prom-client';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { kindKey, type ResourceType } from '../kube/resource-type.ts';
import { sleep, systemClock, type Clock } from './clock.ts';
import { makeControllerMetrics } from './controller-metrics.ts';
import { Controller, defaultConcurrency, resync, type ControllerOptions } from './controller.ts';
import { HealthServer, type Check } from '@riskmodel/core/telemetry/health-server.ts';
import { LeaderElector, LeadershipLost, makeLeaderMetrics, type LeaderElectionOptions } from './leader-election.ts';
import { makeReflectorMetrics } from './reflector-metrics.ts';
import type { ReadonlyStore, Store } from './store.ts';
import { TypeWatch, type TypeWatchOptions } from './type-watch.ts';
import { makeQueueMetrics } from './work-queue-metrics.ts';

export interface ManagerOptions {
  client: KubeClient;
  logger: Logger;
  /** Where metrics go; one of its own when absent. */
  registry?: Registry;
  /** Works on this namespace only; on all of them when absent. */
  namespace?: string | undefined;
  /** Works only while it leads; always when absent. */
  leaderElection?: Pick<
    LeaderElectionOptions,
    'lease' | 'identity' | 'leaseDurationMs' | 'renewDeadlineMs' | 'retryPeriodMs'
  >;
  /** Where probes and metrics are answered; nowhere when absent. */
  health?: { port: number; host?: string };
  /** How often every key is made due though nothing changed; costs no API request. */
  resyncMs?: number;
  /** How often the cluster is asked which APIs it has. */
  discoveryMs?: number;
  /** How long what was begun may take to end when the program is to stop. */
  gracefulMs?: number;
  clock?: Clock;
  random?: () => number;
}

const defaultResyncMs = 10 * 3_600_000;
const defaultDiscoveryMs = 30_000;
const defaultGracefulMs = 20_000;
/** How often the caches are looked at while waiting for them. */
const syncPollMs = 50;
/** Discovery that fails, or that was called for by a missing API, is tried no more often. */
const discoveryRetryMs = 2_000;

export class Manager {
  readonly registry: Registry;
  readonly #options: ManagerOptions;
  readonly #client: KubeClient;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #watches = new Map<string, TypeWatch>();
  /** Each with how another one of it is made, for the next time that this replica leads. */
  readonly #controllers: { controller: Controller; type: ResourceType; make: () => Controller }[] = [];
  readonly #checks = { live: {} as Record<string, Check>, ready: {} as Record<string, Check> };
  readonly #metrics: ReturnType<typeof makeMetrics>;
  readonly #elector: LeaderElector | undefined;
  #wakeDiscovery: (() => void) | undefined;
  #healthPort: number | undefined;

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#logger = options.logger;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.registry = options.registry ?? new Registry();
    this.#metrics = makeMetrics(this.registry);
    this.#elector = this.#makeElector();
    this.addCheck('ready', 'caches', () => this.#unsynced());
  }

  /**
   * Caches a type, once however many controllers use it. To be called before `run`.
   * @returns the cache, which is filled once the manager runs.
   * @throws Error when the type is cached already, with other options.
   */
  watch(type: ResourceType, options: TypeWatchOptions = {}): ReadonlyStore {
    const name = kindKey(type);
    if (this.#watches.has(name)) throw new Error(`${name} is watched already`);
    const { namespace } = this.#options;
    const watch = new TypeWatch(
      type,
      { ...(type.namespaced ? { namespace } : {}), ...options },
      {
        client: this.#client,
        clock: this.#clock,
        random: this.#random,
        logger: this.#logger,
        metrics: this.#metrics.reflector(name),
        onAbsent: () => this.#wakeDiscovery?.(),
      },
    );
    this.#watches.set(name, watch);
    return watch.store;
  }

  /** The cache of a type; watches it, in whole, if nobody did. */
  store(type: ResourceType): ReadonlyStore {
    return this.#watches.get(kindKey(type))?.store ?? this.watch(type);
  }

  /** Whether the cluster has the API of a watched type, as far as is known. */
  isServed(type: ResourceType): boolean {
    return this.#watches.get(kindKey(type))?.isServed === true;
  }

  /**
   * To be called before `run`. Types that nobody watches yet are watched, in whole.
   * @returns what it watches
   */
  addController(options: ControllerOptions): Pick<Controller, 'watches'> {
    const { name, concurrency = defaultConcurrency } = options;
    const deps = {
      clock: this.#clock,
      logger: this.#logger,
      metrics: this.#metrics.controller(name, concurrency),
      queueMetrics: this.#metrics.queue(name),
    };
    const make = (): Controller => new Controller(options, deps);
    const controller = make();
    for (const { type } of controller.watches) this.store(type);
    this.#controllers.push({ controller, type: options.for, make });
    return controller;
  }

  /** Adds to what `/livez` or `/readyz` answers. */
  addCheck(probe: 'live' | 'ready', name: string, check: Check): void {
    this.#checks[probe][name] = check;
  }

  /** Where probes are answered, once the manager runs. */
  get healthPort(): number | undefined {
    return this.#healthPort;
  }

  /** Whether the caches hold all there is. */
  get hasSynced(): boolean {
    return this.#unsynced() === undefined;
  }

  /**
   * Runs until the signal is aborted: probes and caches at once, controllers when the caches are full and for as long
   * as this replica leads.
   * @throws LeadershipLost when another replica may lead; the program must end then.
   */
  async run(signal: AbortSignal): Promise<void> {
    const ending = new AbortController();
    const health = this.#makeHealthServer();
    try {
      this.#healthPort = await health?.listen();
      for (const watch of this.#watches.values()) if (watch.options.optional !== true) watch.start();
      void this.#followDiscovery(ending.signal);
      await this.#synced(signal);
      if (signal.aborted) return;
      if (this.#elector) await this.#elector.lead((working) => this.#work(working), signal);
      else await this.#work(signal);
    } finally {
      ending.abort();
      await Promise.all([...this.#watches.values()].map((watch) => watch.stop()));
      await health?.close();
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { resyncMs = defaultResyncMs, gracefulMs = defaultGracefulMs } = this.#options;
    const abandon = new AbortController();
    const time = { clock: this.#clock, random: this.#random };
    let cancel: (() => void) | undefined;
    const giveTime = (): void => {
      // Somebody else may lead by now: what was begun has no right to go on.
      if (signal.reason instanceof LeadershipLost) abandon.abort(signal.reason);
      else cancel = this.#clock.after(gracefulMs, () => abandon.abort());
    };
    signal.addEventListener('abort', giveTime, { once: true });
    if (signal.aborted) giveTime();
    this.#logger.info({ controllers: this.#controllers.map(({ controller }) => controller.name) }, 'working');
    try {
      await Promise.all([
        aborted(signal),
        ...this.#controllers.flatMap(({ controller, type }) => [
          controller.run((watched) => this.#watchOf(watched).store, signal, abandon.signal),
          resync(controller, this.store(type), resyncMs, time, signal),
        ]),
      ]);
    } finally {
      cancel?.();
      // A controller works once: what waited in its queue is for the next leader to find.
      for (const entry of this.#controllers) entry.controller = entry.make();
    }
  }

  /** Asks now and then what is served. When an API comes or goes, whoever watches it looks at all keys. Never throws. */
  async #followDiscovery(signal: AbortSignal): Promise<void> {
    const { discoveryMs = defaultDiscoveryMs } = this.#options;
    while (!signal.aborted) {
      let waitMs = discoveryMs;
      try {
        const discovery = await this.#client.discover();
        if (signal.aborted) return;
        const changed = [...this.#watches.values()].filter((watch) => watch.follow(discovery));
        for (const { type } of changed) void this.#enqueueWatchersOf(type, signal);
      } catch (error) {
        if (signal.aborted) return;
        waitMs = discoveryRetryMs;
        this.#logger.warn({ err: error }, 'cannot ask which APIs there are; trying again');
      }
      await this.#sleepUntilWoken(waitMs, signal);
    }
  }

  async #sleepUntilWoken(ms: number, signal: AbortSignal): Promise<void> {
    await sleep(this.#clock, Math.min(ms, discoveryRetryMs), signal);
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    signal.addEventListener('abort', wake, { once: true });
    this.#wakeDiscovery = wake;
    if (!signal.aborted && ms > discoveryRetryMs) await sleep(this.#clock, ms - discoveryRetryMs, woken.signal);
    this.#wakeDiscovery = undefined;
    signal.removeEventListener('abort', wake);
  }

  async #enqueueWatchersOf(type: ResourceType, signal: AbortSignal): Promise<void> {
    await this.#synced(signal, [this.#watchOf(type)]);
    for (const { controller, type: own } of this.#controllers) {
      const isWatched = controller.watches.some((watch) => kindKey(watch.type) === kindKey(type));
      if (isWatched && !signal.aborted) controller.enqueueAll(this.store(own));
    }
  }

  /** Resolves when the caches hold all there is, or when the signal is aborted. */
  async #synced(signal: AbortSignal, watches = [...this.#watches.values()]): Promise<void> {
    while (!signal.aborted && watches.some((watch) => !watch.hasSynced)) await sleep(this.#clock, syncPollMs, signal);
  }

  #unsynced(): string | undefined {
    const names = [...this.#watches].filter(([, watch]) => !watch.hasSynced).map(([name]) => name);
    return names.length === 0 ? undefined : `waiting for ${names.join(', ')}`;
  }

  #watchOf(type: ResourceType): TypeWatch & { store: Store } {
    const watch = this.#watches.get(kindKey(type));
    if (watch === undefined) throw new Error(`${kindKey(type)} is not watched`);
    return watch;
  }

  #makeElector(): LeaderElector | undefined {
    const { leaderElection: options, client, logger } = this.#options;
    if (options === undefined) return undefined;
    const metrics = makeLeaderMetrics(this.registry)(options.lease.name);
    const elector = new LeaderElector({
      ...options,
      client,
      logger,
      metrics,
      clock: this.#clock,
      random: this.#random,
    });
    this.addCheck('live', 'leaderElection', () => elector.check());
    return elector;
  }

  #makeHealthServer(): HealthServer | undefined {
    const { health } = this.#options;
    return health && new HealthServer({ ...health, registry: this.registry, ...this.#checks });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function makeMetrics(registry: Registry): {
  reflector: ReturnType<typeof makeReflectorMetrics>;
  controller: ReturnType<typeof makeControllerMetrics>;
  queue: ReturnType<typeof makeQueueMetrics>;
} {
  return {
    reflector: makeReflectorMetrics(registry),
    controller: makeControllerMetrics(registry),
    queue: makeQueueMetrics(registry),
  };
}
