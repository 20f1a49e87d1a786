import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { isExpired, isUnreachable, KubeError } from '../kube/kube-error.ts';
import { keyOf, type KubeObject } from '../kube/object.ts';
import { kindKey, type ResourceType } from '../kube/resource-type.ts';
import type { WatchEvent } from '../kube/watch-stream.ts';
import { backoffMs, type BackoffOptions } from './backoff.ts';
import { makeCachedObject, type Transform } from './cached-object.ts';
import { sleep, type Clock } from './clock.ts';
import { noReflectorMetrics, type ReflectorMetrics } from './reflector-metrics.ts';
import { unreachableMs } from './retry-delay.ts';
import type { Store } from './store.ts';

/** Which objects of a type are cached, and how. */
export interface Selection {
  /** One namespace; all of them when absent. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  transform?: Transform | undefined;
}

export interface ReflectorOptions extends Selection {
  type: ResourceType;
  store: Store;
  client: Pick<KubeClient, 'list' | 'watch'>;
  clock: Clock;
  random: () => number;
  logger: Logger;
  metrics?: ReflectorMetrics;
  /** Told of every failure, which is dealt with already. */
  onFailure?: (error: KubeError | Error) => void;
  backoff?: BackoffOptions;
  /** A watch that tells nothing for that long is taken for dead. The server sends a bookmark a minute. */
  silenceMs?: number;
  pageSize?: number;
}

const defaultSilenceMs = 150_000;
const defaultPageSize = 500;
/** The server is asked to end a watch after this, up to twice as long, so that watches spread over its replicas. */
const watchSeconds = 300;
/** A watch that ends sooner, having told nothing, is a failure: repeating it at once would be a busy loop. */
const shortWatchMs = 1_000;
/** A watch that was open for so long was a success, though nothing happened. */
const lastingWatchMs = 10_000;

/**
 * Keeps a store equal to what the API server holds: lists once, then follows the changes, and resumes from the last
 * one it saw whenever the watch breaks. It lists again only when the server no longer knows that point (410).
 */
export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #name: string;
  readonly #metrics: ReflectorMetrics;
  readonly #backoff: BackoffOptions;
  /** How far the store has got; undefined before the first list and when the server has forgotten that point. */
  #resourceVersion: string | undefined;
  /** In a row; a watch that told something, or that lasted, ends the row. */
  #failures = 0;
  /** How many of them were 410. */
  #expiries = 0;
  #hasSynced = false;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#name = kindKey(options.type);
    this.#metrics = options.metrics ?? noReflectorMetrics;
    this.#backoff = { baseMs: 800, maxMs: 30_000, jitter: 0.5, random: options.random, ...options.backoff };
  }

  /** Whether the store has once held everything there was. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Runs until the signal is aborted. Never throws: what fails is logged and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#resourceVersion ??= await this.#list(signal);
        await this.#watch(this.#resourceVersion, signal);
      } catch (error) {
        if (!signal.aborted) await this.#recover(error, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { store, transform } = this.#options;
    this.#metrics.listed();
    const { items, resourceVersion } = await this.#pages(signal).catch((error: unknown) => {
      // The pages are of one moment, which the server forgot while they were read. All in one page has no such limit.
      if (isExpired(error)) return this.#pages(signal, 0);
      throw error;
    });
    store.replace(items.map((item) => makeCachedObject(item, transform)));
    this.#hasSynced = true;
    return resourceVersion;
  }

  async #pages(
    signal: AbortSignal,
    limit = this.#options.pageSize ?? defaultPageSize,
  ): Promise<{ items: KubeObject[]; resourceVersion: string }> {
    const { client, type, namespace, labelSelector, fieldSelector } = this.#options;
    const selection = { namespace, labelSelector, fieldSelector, limit, signal };
    let page = await client.list(type, selection);
    const { items, resourceVersion } = page;
    while (page.continue !== undefined) {
      page = await client.list(type, { ...selection, continue: page.continue });
      items.push(...page.items);
    }
    return { items, resourceVersion };
  }

  /** Follows the changes until the server ends the watch, as it does every few minutes. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { client, type, namespace, labelSelector, fieldSelector, clock, random } = this.#options;
    const startedAt = clock.now();
    const patience = this.#patience(signal);
    let heard = false;
    this.#metrics.watched();
    try {
      const events = client.watch(type, {
        namespace,
        labelSelector,
        fieldSelector,
        resourceVersion,
        allowWatchBookmarks: true,
        timeoutSeconds: Math.round(watchSeconds * (1 + random())),
        signal: patience.signal,
      });
      for await (const event of events) {
        patience.renew();
        heard = true;
        this.#succeed();
        this.#take(event);
      }
    } catch (error) {
      throw patience.ranOut() ? new KubeError(0, 'Silent', `watch ${type.plural}: nothing heard for too long`) : error;
    } finally {
      patience.end();
      if (clock.now() - startedAt >= lastingWatchMs) this.#succeed();
    }
    if (!heard && clock.now() - startedAt < shortWatchMs) {
      throw new KubeError(0, 'ShortWatch', `watch ${type.plural}: ended at once`);
    }
  }

  #succeed(): void {
    this.#failures = 0;
    this.#expiries = 0;
  }

  #take({ type, object }: WatchEvent): void {
    const { store, transform } = this.#options;
    if (type === 'DELETED') store.delete(keyOf(object.metadata), makeCachedObject(object, transform));
    else if (type !== 'BOOKMARK') store.set(makeCachedObject(object, transform));
    this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion;
  }

  /** A signal that ends with the outer one, or when nothing was heard for too long. */
  #patience(outer: AbortSignal): { signal: AbortSignal; renew(): void; ranOut(): boolean; end(): void } {
    const { clock, silenceMs = defaultSilenceMs } = this.#options;
    const controller = new AbortController();
    const stop = (): void => controller.abort();
    let hasRunOut = false;
    const arm = (): (() => void) =>
      clock.after(silenceMs, () => {
        hasRunOut = true;
        stop();
      });
    let disarm = arm();
    outer.addEventListener('abort', stop, { once: true });
    return {
      signal: controller.signal,
      ranOut: () => hasRunOut,
      renew: () => {
        disarm();
        disarm = arm();
      },
      end: () => {
        disarm();
        outer.removeEventListener('abort', stop);
      },
    };
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, logger, onFailure } = this.#options;
    const reason = error instanceof KubeError ? error.reason : 'Error';
    this.#failures++;
    this.#metrics.failed(reason);
    onFailure?.(error instanceof Error ? error : new Error(String(error)));
    // After an API server restarted, 410 comes at the end of a row of failures, and the way out is known.
    const isFirstExpiry = isExpired(error) && this.#expiries++ === 0;
    if (isExpired(error)) this.#resourceVersion = undefined;
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    const maxMs = isUnreachable(error) ? Math.min(unreachableMs, this.#backoff.maxMs) : this.#backoff.maxMs;
    const waitMs = isFirstExpiry ? 0 : Math.max(asked, backoffMs(this.#failures, { ...this.#backoff, maxMs }));
    // A connection that breaks once is everyday; what lasts is worth a line.
    logger[this.#failures < 3 ? 'debug' : 'warn'](
      { type: this.#name, err: error, failures: this.#failures, waitMs: Math.round(waitMs) },
      'the cache is not being updated; trying again',
    );
    if (waitMs > 0) await sleep(clock, waitMs, signal);
  }
}
