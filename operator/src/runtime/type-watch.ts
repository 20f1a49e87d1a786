import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Discovery } from '../kube/discovery.ts';
import { isNotFound } from '../kube/kube-error.ts';
import { kindKey, type ResourceType } from '../kube/resource-type.ts';
import type { Clock } from './clock.ts';
import type { ReflectorMetrics } from './reflector-metrics.ts';
import { Reflector, type Selection } from './reflector.ts';
import { Store } from './store.ts';

export interface TypeWatchOptions extends Selection {
  /** The cluster may not have this API, or have it only later. */
  optional?: boolean | undefined;
}

export interface TypeWatchDeps {
  client: Pick<KubeClient, 'list' | 'watch'>;
  clock: Clock;
  random: () => number;
  logger: Logger;
  metrics: ReflectorMetrics;
  /** Told when the API is not there where it was expected: what is served should be asked anew. */
  onAbsent: () => void;
}

/** The cache of one type, whose API may come and go while the program runs. */
export class TypeWatch {
  readonly type: ResourceType;
  readonly store = new Store();
  readonly options: TypeWatchOptions;
  readonly #deps: TypeWatchDeps;
  #running: { reflector: Reflector; stop: AbortController; ended: Promise<void> } | undefined;
  #isDiscovered = false;

  constructor(type: ResourceType, options: TypeWatchOptions, deps: TypeWatchDeps) {
    this.type = type;
    this.options = options;
    this.#deps = deps;
  }

  /** Whether the cluster has the API, as far as is known. */
  get isServed(): boolean {
    return this.#running !== undefined;
  }

  /** Whether the cache holds all there is; also when it is known that there can be nothing. */
  get hasSynced(): boolean {
    return this.#running === undefined ? this.#isDiscovered && this.#isOptional : this.#running.reflector.hasSynced;
  }

  /**
   * Starts or ends the caching, as the API is served or not. A type that is not optional is always taken for served.
   * @returns whether that changed.
   */
  follow(discovery: Discovery): boolean {
    const { apiVersion, kind } = this.type;
    const wasDiscovered = this.#isDiscovered;
    this.#isDiscovered = true;
    const isServed = !this.#isOptional || discovery.has(apiVersion, kind);
    if (isServed === this.isServed) return false;
    if (isServed) this.start();
    else this.#drop();
    if (wasDiscovered) this.#deps.logger.info({ type: kindKey(this.type), isServed }, 'an API came or went');
    return wasDiscovered;
  }

  /** Starts the caching without having asked whether the API is served. */
  start(): void {
    if (this.#running) return;
    const { optional: _, ...selection } = this.options;
    const { onAbsent, ...deps } = this.#deps;
    const reflector = new Reflector({
      ...deps,
      ...selection,
      type: this.type,
      store: this.store,
      onFailure: (error) => {
        if (isNotFound(error)) onAbsent();
      },
    });
    const stop = new AbortController();
    this.#running = { reflector, stop, ended: reflector.run(stop.signal) };
  }

  async stop(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.ended;
  }

  get #isOptional(): boolean {
    return this.options.optional === true;
  }

  /** With the API its objects are gone, and whoever counted on them must hear of it. */
  #drop(): void {
    this.#running?.stop.abort();
    this.#running = undefined;
    this.store.replace([]);
  }
}
