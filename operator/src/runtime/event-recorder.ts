import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../kube/kube-error.ts';
import type { KubeObject, ObjectRef } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import type { Clock } from './clock.ts';
import { microTime } from './leader-election.ts';
import { redact } from './redact.ts';
import { TokenBuckets } from './token-bucket.ts';
import { WorkQueue } from './work-queue.ts';

/**
 * events.k8s.io/v1 rather than core v1: the server keeps one object for both, and `kubectl get events` shows it with
 * its count either way, but here a repetition is a field of its own (`series`), so that repeating an event is a patch
 * of two values which no other reporter can get in the way of.
 */
export const eventType: ResourceType = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};

/** Something that happened to an object, for the people who look at it. */
export interface EventInput {
  type: 'Normal' | 'Warning';
  /** Why, as a stable word: `RevisionReady`. */
  reason: string;
  /** What was being done, as a stable word: `RollOut`. */
  action: string;
  /** A sentence. What looks like a secret is left out of it. */
  note: string;
}

export interface EventRecorderOptions {
  client: Pick<KubeClient, 'create' | 'patch'>;
  /** Who reports, as a qualified name: `riskmodel.io/operator`. */
  controller: string;
  /** Which replica. */
  instance: string;
  clock: Clock;
  random: () => number;
  logger: Logger;
}

interface Series {
  ref: ObjectRef & { namespace: string };
  body: KubeObject;
  count: number;
  lastAt: number;
  /** How many of them the cluster has been told of, and when. */
  sent: number;
  sentAt: number;
  failures: number;
}

/** An event that comes again within this is counted rather than told anew. */
const seriesMs = 600_000;
/** A series is told of no more often. */
const updateMs = 60_000;
const maxSeries = 1_000;
const maxFailures = 5;
/** Client-go's limits on one object's events. */
const perObject = { burst: 25, refillMs: 300_000, maxKeys: 4_096 };
/** The API's limit, in bytes. */
const noteBytes = 1_024;

/** Tells the cluster of events, in the background and in moderation. What can't be told is dropped; nothing throws. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #queue: WorkQueue;
  readonly #buckets = new TokenBuckets(perObject);
  /** By what makes two events the same; the one that came up last is last. */
  readonly #series = new Map<string, Series>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ clock: options.clock, backoff: { baseMs: 1_000, maxMs: 30_000 } });
    void this.#send();
  }

  /** Records an event about an object. Returns at once. */
  record(object: KubeObject, event: EventInput): void {
    const now = this.#options.clock.now();
    const note = cut(redact(event.note), noteBytes);
    const { uid = '', name } = object.metadata;
    const id = JSON.stringify([object.kind, uid || name, event.type, event.reason, event.action, note]);
    const known = this.#series.get(id);
    if (known !== undefined && now - known.lastAt < seriesMs) {
      this.#touch(id, { ...known, count: known.count + 1, lastAt: now });
      this.#queue.addAfter(id, Math.max(0, known.sentAt + updateMs - now));
      return;
    }
    if (!this.#buckets.take(uid || name, now)) return;
    this.#touch(id, this.#begin(object, { ...event, note }, now));
    this.#queue.add(id);
  }

  /** Ends the telling. What waits is lost. */
  stop(): void {
    this.#queue.shutDown();
  }

  #begin(object: KubeObject, event: EventInput, now: number): Series {
    const { controller, instance, random } = this.#options;
    const { namespace = 'default', name, uid, resourceVersion } = object.metadata;
    const suffix = Math.floor(random() * 2 ** 48).toString(16);
    const ref = { namespace, name: `${name.slice(0, 200)}.${suffix.padStart(12, '0')}` };
    const regarding = { apiVersion: object.apiVersion, kind: object.kind, namespace, name, uid, resourceVersion };
    const body = {
      apiVersion: eventType.apiVersion,
      kind: eventType.kind,
      metadata: ref,
      eventTime: microTime(now),
      reportingController: controller,
      reportingInstance: instance.slice(0, 128),
      regarding,
      ...event,
    };
    return { ref, body, count: 1, lastAt: now, sent: 0, sentAt: now, failures: 0 };
  }

  /** Keeps a series as the latest, and forgets those that are over. */
  #touch(id: string, series: Series): void {
    this.#series.delete(id);
    this.#series.set(id, series);
    for (const [oldId, { lastAt }] of this.#series) {
      if (this.#series.size <= maxSeries && series.lastAt - lastAt < seriesMs) break;
      this.#series.delete(oldId);
      this.#queue.forget(oldId);
    }
  }

  async #send(): Promise<void> {
    for (let id = await this.#queue.take(); id !== undefined; id = await this.#queue.take()) {
      try {
        await this.#sendOne(id);
      } finally {
        this.#queue.done(id);
      }
    }
  }

  async #sendOne(id: string): Promise<void> {
    const series = this.#series.get(id);
    if (series === undefined || series.sent >= series.count) return;
    const { count } = series;
    try {
      await this.#tell(series, count);
      this.#queue.forget(id);
      this.#update(id, { sent: count, sentAt: this.#options.clock.now(), failures: 0 });
    } catch (error) {
      this.#options.logger.debug({ err: error, event: series.ref.name }, 'an event could not be told');
      if (series.failures + 1 >= maxFailures) {
        this.#series.delete(id);
        this.#queue.forget(id);
        return;
      }
      // An event that is gone, as they go after an hour, is told anew.
      this.#update(id, { failures: series.failures + 1, ...(isNotFound(error) ? { sent: 0 } : {}) });
      this.#queue.retry(id);
    }
  }

  async #tell({ ref, body, sent, lastAt }: Series, count: number): Promise<void> {
    const { client } = this.#options;
    const series = { count, lastObservedTime: microTime(lastAt) };
    if (sent > 0) {
      await client.patch(eventType, ref, { series }, { type: 'merge' });
      return;
    }
    try {
      await client.create(count > 1 ? { ...body, series } : body);
    } catch (error) {
      // Its name is ours alone, so it was created by a try whose answer got lost.
      if (!isAlreadyExists(error)) throw error;
    }
  }

  /** What came up meanwhile stays. */
  #update(id: string, change: Partial<Series>): void {
    const series = this.#series.get(id);
    if (series !== undefined) this.#series.set(id, { ...series, ...change });
  }
}

/** At most so many bytes of UTF-8, with no character cut in two. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) return text;
  const kept = encoded
    .subarray(0, bytes - 3)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  return `${kept}...`;
}
