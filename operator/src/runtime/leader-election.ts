import { Gauge, type Registry } from 'prom-client';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict } from '../kube/kube-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import { sleep, type Clock } from './clock.ts';

export const leaseType: ResourceType = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};

export interface LeaderElectionOptions {
  client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  /** The Lease all candidates compete for. */
  lease: { namespace: string; name: string };
  /** Unique among the candidates. One that is started again under it has its own lease back at once. */
  identity: string;
  clock: Clock;
  random: () => number;
  logger: Logger;
  metrics?: LeaderMetrics;
  /** How long a leader that is heard of no more is waited for. */
  leaseDurationMs?: number;
  /**
   * How long a leader tries to renew before it steps down. Shorter than the lease by the time in which its work has to
   * end, so that no two lead at once.
   */
  renewDeadlineMs?: number;
  /** How long between two tries. */
  retryPeriodMs?: number;
}

export interface LeaderMetrics {
  leading(isLeader: boolean): void;
}

export function makeLeaderMetrics(registry: Registry): (name: string) => LeaderMetrics {
  const gauge = new Gauge({
    name: 'leader_election_master_status',
    help: 'Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master',
    labelNames: ['name'],
    registers: [registry],
  });
  return (name) => {
    gauge.set({ name }, 0);
    return { leading: (isLeader) => gauge.set({ name }, isLeader ? 1 : 0) };
  };
}

/** Somebody else leads, or may lead before the work has ended: the program must end. */
export class LeadershipLost extends Error {
  constructor(lease: string) {
    super(`The lease ${lease} could not be kept, so another replica may lead now`);
    this.name = 'LeadershipLost';
  }
}

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

/**
 * Candidates that started together do not stay in step. Client-go's factor is 1.2, with which a new leader may come
 * 24 seconds after the old one died.
 */
const jitter = 0.2;
/** What ends at once, because it was told to, may take so long when the lease has run out already. */
const momentMs = 1_000;

/**
 * Decides which of several replicas works, by a Lease that the leader renews. Every write carries the
 * resourceVersion that was read, so of two who take the lease at once, one fails. Clocks of other machines are never
 * trusted: a lease has expired when it was seen unchanged for its whole duration.
 */
export class LeaderElector {
  readonly #options: Required<Omit<LeaderElectionOptions, 'metrics'>>;
  readonly #metrics: LeaderMetrics;
  readonly #name: string;
  /** The lease as last seen, and when a change of it was last seen. */
  #seen: { lease: KubeObject; at: number } | undefined;
  #isLeader = false;
  #renewedAt = 0;

  constructor({ metrics, ...options }: LeaderElectionOptions) {
    this.#options = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000, ...options };
    this.#metrics = metrics ?? { leading: () => {} };
    this.#name = `${options.lease.namespace}/${options.lease.name}`;
    if (this.#options.renewDeadlineMs >= this.#options.leaseDurationMs) {
      throw new Error(
        'A leader must step down before its lease runs out: renewDeadlineMs must be below leaseDurationMs',
      );
    }
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  /** What is wrong, for a liveness probe: a leader whose lease ran out long ago should have ended itself. */
  check(): string | undefined {
    const { clock, leaseDurationMs } = this.#options;
    const sinceMs = clock.now() - this.#renewedAt;
    return this.#isLeader && sinceMs > leaseDurationMs + 20_000 ? `lease ${this.#name} has run out` : undefined;
  }

  /**
   * Waits for the lease, then has the work done while renewing it, and gives the lease up when the work has ended.
   * A leader that can't renew has its work ended and, when that is done before somebody else can lead, waits for the lease
   * again: while the API server is away nobody else can take it, and a restart of the program would help nobody.
   * @param work is to end soon after its signal is aborted, and at once when the reason is a `LeadershipLost`. It may be
   * called again then.
   * @throws LeadershipLost when somebody else has taken the lease, or may take it before the work has ended.
   */
  async lead(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    while (await this.#acquire(signal)) {
      if ((await this.#leadOnce(work, signal)) === 'done') return;
    }
  }

  async #leadOnce(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<'done' | 'steppedDown'> {
    const workEnds = new AbortController();
    const stop = (): void => workEnds.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const renewalEnds = new AbortController();
    try {
      // The lease is kept while the work is being ended, so that nobody else begins before.
      const working = work(workEnds.signal).finally(() => renewalEnds.abort());
      working.catch(() => {});
      if ((await this.#renew(renewalEnds.signal)) === 'lost') {
        workEnds.abort(new LeadershipLost(this.#name));
        await this.#stepDown(working);
        return 'steppedDown';
      }
      try {
        await working;
      } finally {
        await this.#release();
      }
      return 'done';
    } finally {
      signal.removeEventListener('abort', stop);
      this.#setLeader(false);
    }
  }

  /** True once the lease is ours, false when the signal was aborted before. */
  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, random, retryPeriodMs, renewDeadlineMs, logger } = this.#options;
    logger.info({ lease: this.#name }, 'waiting to lead');
    while (!signal.aborted) {
      if (await this.#within(renewDeadlineMs / 2, (attempt) => this.#tryToHold(attempt), signal)) {
        this.#setLeader(true);
        logger.info({ lease: this.#name }, 'leading');
        return true;
      }
      // Not later than the moment at which the lease becomes free, if nothing is heard until then.
      await sleep(clock, Math.min(retryPeriodMs * (1 + jitter * random()), this.#takenForMs() || Infinity), signal);
    }
    return false;
  }

  /** Resolves when the signal is aborted, or when the lease can't be counted on any more. */
  async #renew(signal: AbortSignal): Promise<'ended' | 'lost'> {
    const { clock, retryPeriodMs, renewDeadlineMs, logger } = this.#options;
    for (;;) {
      await sleep(clock, retryPeriodMs, signal);
      if (signal.aborted) return 'ended';
      // A try that hangs must not outlast the deadline, and one that comes late is no try any more.
      const leftMs = this.#renewedAt + renewDeadlineMs - clock.now();
      const isRenewed = leftMs > 0 && (await this.#within(leftMs, (attempt) => this.#tryToHold(attempt), signal));
      if (signal.aborted || isRenewed) continue;
      if (clock.now() - this.#renewedAt < renewDeadlineMs && !this.#isTaken()) continue;
      logger.error({ lease: this.#name }, 'lost the lease');
      return 'lost';
    }
  }

  /**
   * Waits for the work to end, for as long as nobody else can lead.
   * @throws LeadershipLost when somebody else leads, or may lead by now while the work goes on
   */
  async #stepDown(working: Promise<void>): Promise<void> {
    const { clock, leaseDurationMs, logger } = this.#options;
    const leftMs = this.#renewedAt + leaseDurationMs - clock.now();
    // A process that was frozen, or was given no time, finds itself here when its lease has run out.
    if (leftMs <= 0) await this.#within(momentMs, (attempt) => this.#lookAgain(attempt));
    if (this.#isTaken()) throw new LeadershipLost(this.#name);
    const waiting = new AbortController();
    const ranOut = sleep(clock, Math.max(leftMs, momentMs), waiting.signal).then(() => 'ranOut');
    const first = await Promise.race([working, ranOut]).finally(() => waiting.abort());
    if (first === 'ranOut') throw new LeadershipLost(this.#name);
    logger.info({ lease: this.#name }, 'the work has ended in time');
  }

  /** Makes an attempt, and has it given up after some time, or when the outer signal is aborted. */
  async #within<T>(ms: number, make: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const attempt = new AbortController();
    const stop = (): void => attempt.abort();
    const cancel = this.#options.clock.after(ms, stop);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await make(attempt.signal);
    } finally {
      cancel();
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Whether the lease is ours for another while. Never throws. */
  async #tryToHold(signal: AbortSignal): Promise<boolean> {
    const { client, lease: ref, logger, clock } = this.#options;
    try {
      const askedAt = clock.now();
      // A leader knows what it wrote last and writes on it; if somebody else wrote, that fails and it looks.
      const known = this.#isLeader && this.#seen ? this.#seen.lease : await client.get(leaseType, ref, signal);
      if (known !== undefined) this.#observe(known);
      const spec = this.#claim(known);
      if (spec === undefined) return false;
      this.#observe(await this.#write(known, spec, signal));
      // From when we asked, not from when we were answered: others may have seen it then.
      this.#renewedAt = askedAt;
      return true;
    } catch (error) {
      if (isConflict(error)) await this.#lookAgain(signal);
      else if (!signal.aborted && !isAlreadyExists(error)) {
        logger.warn({ lease: this.#name, err: error }, 'the lease cannot be had at the moment');
      }
      return false;
    }
  }

  /** What to write to hold the lease, or undefined when it is somebody else's. */
  #claim(lease: KubeObject | undefined): LeaseSpec | undefined {
    const { clock, identity, leaseDurationMs } = this.#options;
    const now = microTime(clock.now());
    const ours = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: now,
      renewTime: now,
    };
    if (lease === undefined) return { ...ours, leaseTransitions: 0 };
    const { holderIdentity, acquireTime = now, leaseTransitions = 0 } = specOf(lease);
    if (holderIdentity === identity) return { ...ours, acquireTime, leaseTransitions };
    return this.#isTaken() ? undefined : { ...ours, leaseTransitions: leaseTransitions + 1 };
  }

  /** Whether somebody else holds the lease and has been heard of lately. */
  #isTaken(): boolean {
    return this.#takenForMs() > 0;
  }

  /** How long somebody else still holds the lease, if nothing is heard of them; 0 when nobody else does. */
  #takenForMs(): number {
    const { clock, identity, leaseDurationMs } = this.#options;
    if (this.#seen === undefined) return 0;
    const { holderIdentity, leaseDurationSeconds } = specOf(this.#seen.lease);
    if (!holderIdentity || holderIdentity === identity) return 0;
    // The holder knows best how long it counts on the lease; it may run another version with other settings.
    const durationMs = leaseDurationSeconds === undefined ? leaseDurationMs : leaseDurationSeconds * 1000;
    return Math.max(0, this.#seen.at + durationMs - clock.now());
  }

  async #write(known: KubeObject | undefined, spec: LeaseSpec, signal: AbortSignal): Promise<KubeObject> {
    const { client, lease: ref } = this.#options;
    const { apiVersion, kind } = leaseType;
    if (known === undefined) return client.create({ apiVersion, kind, metadata: ref, spec }, { signal });
    return client.update({ ...known, apiVersion, kind, spec }, { signal });
  }

  async #lookAgain(signal: AbortSignal): Promise<void> {
    const { client, lease: ref } = this.#options;
    const lease = await client.get(leaseType, ref, signal).catch(() => undefined);
    if (lease !== undefined) this.#observe(lease);
  }

  #observe(lease: KubeObject): void {
    const isNew = this.#seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion;
    this.#seen = { lease, at: isNew || !this.#seen ? this.#options.clock.now() : this.#seen.at };
  }

  /** Lets the others know at once, rather than by waiting. */
  async #release(): Promise<void> {
    const { client, clock, logger } = this.#options;
    const lease = this.#seen?.lease;
    if (lease === undefined || specOf(lease).holderIdentity !== this.#options.identity) return;
    const now = microTime(clock.now());
    const { leaseTransitions = 0 } = specOf(lease);
    const spec = { holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now, leaseTransitions };
    try {
      await client.update({ ...lease, spec });
      logger.info({ lease: this.#name }, 'gave the lease up');
    } catch (error) {
      logger.warn({ lease: this.#name, err: error }, 'the lease could not be given up; it will run out');
    }
  }

  #setLeader(isLeader: boolean): void {
    this.#isLeader = isLeader;
    this.#metrics.leading(isLeader);
  }
}

function specOf(lease: KubeObject): LeaseSpec {
  return lease['spec'] ?? {};
}

/** Go's `MicroTime`, which takes exactly six digits. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
