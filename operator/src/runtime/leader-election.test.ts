import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { KubeError } from '../kube/kube-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { FakeClock, settle } from '../testing/fake-clock.ts';
import { LeaseApi } from '../testing/lease-api.ts';
import { quietLogger } from '../testing/quiet-logger.ts';
import {
  LeaderElector,
  LeadershipLost,
  makeLeaderMetrics,
  microTime,
  type LeaderElectionOptions,
} from './leader-election.ts';

const lease = { namespace: 'risk', name: 'operator' };

interface Candidate {
  elector: LeaderElector;
  /** When it began to work and when it was told to end, in ms since the start. */
  worked: { from: number; to?: number }[];
  stop: () => void;
  ended: Promise<unknown>;
}

let clock: FakeClock;
let api: LeaseApi;
let candidates: Candidate[];
let startedAt: number;
beforeEach(() => {
  clock = new FakeClock();
  startedAt = clock.now();
  api = new LeaseApi();
  candidates = [];
});
afterEach(async () => {
  api.fault = 'none';
  for (const { stop } of candidates) stop();
  await Promise.all(candidates.map(({ ended }) => ended));
  expect(clock.timers).toBe(0);
});

interface StartOptions {
  client?: LeaderElectionOptions['client'];
  /** How long the work takes to end when it is told to; how long when the lease was lost. */
  workMs?: number;
  lostWorkMs?: number;
  chance?: number;
  registry?: Registry;
}

/** A replica whose work lasts until it is told to end. `ended` resolves to the error, if any. */
async function start(
  identity: string,
  { client = api, workMs = 0, lostWorkMs = 0, chance = 0, registry }: StartOptions = {},
): Promise<Candidate> {
  const { logger } = quietLogger();
  const metrics = registry ? { metrics: makeLeaderMetrics(registry)('operator') } : {};
  const elector = new LeaderElector({ client, lease, identity, clock, random: () => chance, logger, ...metrics });
  const controller = new AbortController();
  const worked: Candidate['worked'] = [];
  const work = async (signal: AbortSignal): Promise<void> => {
    const entry: Candidate['worked'][number] = { from: clock.now() - startedAt };
    worked.push(entry);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    entry.to = clock.now() - startedAt;
    const endsMs = signal.reason instanceof LeadershipLost ? lostWorkMs : workMs;
    if (endsMs > 0) await new Promise<void>((resolve) => void clock.after(endsMs, resolve));
  };
  const ended = elector.lead(work, controller.signal).catch((error: unknown) => error);
  const candidate = { elector, worked, stop: () => controller.abort(), ended };
  candidates.push(candidate);
  await settle();
  return candidate;
}

function spec(): Record<string, unknown> {
  return (api.objects.get('risk/operator') as KubeObject)['spec'] as Record<string, unknown>;
}

/** Somebody else writes the lease. */
function takeLease(holderIdentity: string): void {
  const held = api.objects.get('risk/operator') as KubeObject;
  const metadata = { ...held.metadata, resourceVersion: '99' };
  api.objects.set('risk/operator', { ...held, metadata, spec: { holderIdentity, leaseDurationSeconds: 15 } });
}

/** A client of the API server that fails for ever once its owner has died. */
function mortal(): { client: LeaderElectionOptions['client']; die: () => void } {
  let isDead = false;
  const here = (): LeaseApi => {
    if (isDead) throw new KubeError(0, undefined, 'nobody is there to ask');
    return api;
  };
  return {
    client: {
      get: async (...args) => here().get(...args),
      create: async (...args) => here().create(...args),
      update: async (...args) => here().update(...args),
    },
    die: () => {
      isDead = true;
    },
  };
}

describe('the first candidate', () => {
  test('leads at once and writes what kubectl and client-go read', async () => {
    const { worked } = await start('a');
    expect(worked).toEqual([{ from: 0 }]);
    expect(spec()).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2025-01-01T00:00:00.000000Z',
      renewTime: '2025-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
  });

  test('renews every two seconds, in one request each', async () => {
    await start('a');
    await clock.advance(60_000);
    expect(api.writes).toBe(31);
    expect(spec()).toMatchObject({ acquireTime: microTime(startedAt), renewTime: microTime(startedAt + 60_000) });
  });
});

describe('a second candidate', () => {
  test('waits for as long as the first renews', async () => {
    await start('a');
    const second = await start('b');
    await clock.advance(600_000);
    expect(second.worked).toEqual([]);
  });

  test('takes over as soon as the lease has run out when the first is heard of no more', async () => {
    // The first one wrote the lease and died.
    api.objects.set('risk/operator', {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...lease, resourceVersion: '0' },
      spec: { holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 3 },
    });
    const second = await start('b');
    await clock.advance(14_999);
    expect(second.worked).toEqual([]);
    await clock.advance(1);
    expect(second.worked).toEqual([{ from: 15_000 }]);
    expect(spec()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 4 });
  });

  test.each([0, 0.3, 0.6, 0.999])(
    'leads less than 18 seconds after the first has died, with chance %d',
    async (chance) => {
      for (let livesMs = 100; livesMs < 5_000; livesMs += 300) {
        api = new LeaseApi();
        const { client, die } = mortal();
        const [first, second] = [await start('a', { client }), await start('b', { chance })];
        await clock.advance(livesMs);
        die();
        const diedAt = clock.now() - startedAt;
        await clock.advance(18_000);
        const [{ from } = { from: Infinity }] = second.worked;
        expect(from - diedAt).toBeLessThan(18_000);
        expect(first.worked[0]?.to).toBeLessThan(from);
        second.stop();
        await second.ended;
      }
    },
  );

  test('goes by its own clock, however wrong that of the first is', async () => {
    api.objects.set('risk/operator', {
      apiVersion: '',
      kind: 'Lease',
      metadata: { ...lease, resourceVersion: '0' },
      spec: { holderIdentity: 'a', leaseDurationSeconds: 15, renewTime: '1999-01-01T00:00:00.000000Z' },
    });
    const second = await start('b');
    await clock.advance(14_000);
    expect(second.worked).toEqual([]);
  });

  test('takes over within a try when the first stops in order', async () => {
    const first = await start('a');
    const second = await start('b');
    await clock.advance(10_000);
    first.stop();
    await first.ended;
    expect(spec()).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    await clock.advance(2_000);
    expect(second.worked).toHaveLength(1);
  });

  test('does not begin before the work of the first has ended', async () => {
    const first = await start('a', { workMs: 30_000 });
    const second = await start('b');
    first.stop();
    await clock.advance(29_000);
    expect(second.worked).toEqual([]);
    await clock.advance(3_000);
    expect(second.worked).toHaveLength(1);
    expect(await first.ended).toBeUndefined();
  });

  test('never leads beside the first, when both find the lease free at once', async () => {
    const [first, second] = await Promise.all([start('a'), start('b')]);
    await clock.advance(10_000);
    expect(first.worked.length + second.worked.length).toBe(1);
  });
});

describe('a leader', () => {
  test.each(['fails', 'hangs'] as const)(
    'stops before its lease runs out when the API server %s, and leads again when that is back',
    async (fault) => {
      const first = await start('a');
      await clock.advance(10_000);
      api.fault = fault;
      await clock.advance(60_000);
      const [{ to } = { to: 0 }] = first.worked;
      expect(to).toBeGreaterThan(10_000 + 7_999);
      expect(to).toBeLessThanOrEqual(10_000 + 12_000);
      expect([first.worked.length, first.elector.isLeader, first.elector.check()]).toEqual([1, false, undefined]);
      api.fault = 'none';
      await clock.advance(10_000);
      expect([first.worked.length, first.elector.isLeader]).toEqual([2, true]);
      expect(spec()).toMatchObject({ holderIdentity: 'a', leaseTransitions: 0 });
    },
  );

  test('that stepped down waits like any other when somebody else was faster', async () => {
    const first = await start('a');
    api.fault = 'fails';
    await clock.advance(60_000);
    api.fault = 'none';
    takeLease('b');
    await clock.advance(14_000);
    expect([first.worked.length, first.elector.isLeader]).toEqual([1, false]);
    await clock.advance(10_000);
    expect(first.worked).toHaveLength(2);
  });

  test.each([
    { lostWorkMs: 2_500, outcome: 'waits for the lease again' },
    { lostWorkMs: 30_000, outcome: 'ends' },
  ])('whose work takes $lostWorkMs ms to end after the lease was lost $outcome', async ({ lostWorkMs, outcome }) => {
    const first = await start('a', { lostWorkMs });
    await clock.advance(10_000);
    api.fault = 'fails';
    await clock.advance(60_000);
    if (outcome === 'ends') {
      expect(await first.ended).toBeInstanceOf(LeadershipLost);
      return;
    }
    api.fault = 'none';
    await clock.advance(10_000);
    expect(first.worked).toHaveLength(2);
  });

  test('goes on when the API server is away for a short while', async () => {
    const first = await start('a');
    await clock.advance(10_000);
    api.fault = 'fails';
    await clock.advance(7_000);
    api.fault = 'none';
    await clock.advance(60_000);
    expect(first.worked).toEqual([{ from: 0 }]);
  });

  test('stops at once when somebody else has taken the lease', async () => {
    const first = await start('a');
    takeLease('b');
    await clock.advance(2_000);
    expect(await first.ended).toBeInstanceOf(LeadershipLost);
    expect(spec()).toMatchObject({ holderIdentity: 'b' });
  });

  describe('that was frozen for longer than its lease', () => {
    test('ends when somebody else has taken it', async () => {
      const first = await start('a');
      clock.freeze(15_000);
      takeLease('b');
      await clock.advance(2_000);
      expect(await first.ended).toBeInstanceOf(LeadershipLost);
    });

    test.each(['none', 'fails', 'hangs'] as const)(
      'ends its work and stands again when nobody has, as far as can be known (the API server: %s)',
      async (fault) => {
        const first = await start('a');
        api.fault = fault;
        clock.freeze(15_000);
        await clock.advance(5_000);
        expect(first.worked[0]?.to).toBeDefined();
        api.fault = 'none';
        await clock.advance(20_000);
        expect([first.worked.length, first.elector.isLeader]).toEqual([2, true]);
      },
    );

    test('ends when its work does not end at once', async () => {
      const first = await start('a', { lostWorkMs: 1_500 });
      api.fault = 'fails';
      clock.freeze(15_000);
      await clock.advance(5_000);
      expect(await first.ended).toBeInstanceOf(LeadershipLost);
    });
  });

  test('goes on when its own lease was touched by somebody else', async () => {
    const first = await start('a');
    const held = api.objects.get('risk/operator') as KubeObject;
    const metadata = { ...held.metadata, resourceVersion: '99', labels: { seen: 'yes' } };
    api.objects.set('risk/operator', { ...held, metadata });
    await clock.advance(60_000);
    expect(first.worked).toEqual([{ from: 0 }]);
    expect(api.objects.get('risk/operator')?.metadata.labels).toEqual({ seen: 'yes' });
  });

  test('whose work fails gives the lease up and fails', async () => {
    const { logger } = quietLogger();
    const elector = new LeaderElector({ client: api, lease, identity: 'a', clock, random: () => 0, logger });
    const leading = elector.lead(() => Promise.reject(new Error('broken')), new AbortController().signal);
    await expect(leading).rejects.toThrow('broken');
    expect(spec()).toMatchObject({ holderIdentity: '' });
  });

  test('is known to the probe and the metrics', async () => {
    const registry = new Registry();
    const first = await start('a', { registry });
    expect(await registry.metrics()).toContain('leader_election_master_status{name="operator"} 1');
    expect([first.elector.isLeader, first.elector.check()]).toEqual([true, undefined]);
    first.stop();
    await first.ended;
    expect(await registry.metrics()).toContain('leader_election_master_status{name="operator"} 0');
  });
});

test('a candidate that is stopped while it waits ends', async () => {
  await start('a');
  const second = await start('b');
  second.stop();
  expect(await second.ended).toBeUndefined();
});

test('a lease that would run out before its leader steps down is refused', () => {
  const { logger } = quietLogger();
  const options = { client: api, lease, identity: 'a', clock, random: () => 0, logger };
  expect(() => new LeaderElector({ ...options, leaseDurationMs: 10_000 })).toThrow('must step down before');
});
