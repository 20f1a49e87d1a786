import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { ControlPlane } from '../harness/cluster/control-plane.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { buildTimeoutMs, startPlane } from './plane.ts';

jest.setTimeout(180_000);

const program = join(import.meta.dirname, 'programs', 'candidate.ts');

interface Said {
  identity: string;
  what: string;
  at: number;
}

let plane: ControlPlane;
let said: Said[] = [];
/** What replicas wrote to their standard error, to be told when a test fails. */
let complaints: string[] = [];
const children = new Set<ChildProcess>();

beforeAll(async () => {
  plane = await startPlane();
}, buildTimeoutMs);
afterEach(async () => {
  await Promise.all([...children].map((child) => end(child, 'SIGKILL')));
  said = [];
  complaints = [];
  await plane.kubectl.run(['delete', 'lease', 'test-election', '--ignore-not-found']);
});
afterAll(() => plane?.stop());

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
  children.delete(child);
}

/** A replica in a process of its own. */
async function start(identity: string): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, plane.kubeconfig, identity],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  children.add(child);
  createInterface({ input: child.stderr }).on('line', (line) => complaints.push(line));
  createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line) as Said));
  await heard(identity, 'waits');
  return child;
}

/** When a replica said something, as soon as it has. */
async function heard(identity: string, what: string): Promise<number> {
  let at = 0;
  await eventually(async () => {
    const entry = said.find((each) => each.identity === identity && each.what === what);
    if (entry === undefined)
      throw new Error([`${identity} has not said "${what}"`, ...complaints.slice(-20)].join('\n'));
    at = entry.at;
  }, 60_000);
  return at;
}

async function twoReplicas(): Promise<[ChildProcess, ChildProcess]> {
  const first = await start('first');
  await heard('first', 'leads');
  const second = await start('second');
  await sleep(3_000);
  expect(said.some(({ identity, what }) => identity === 'second' && what === 'leads')).toBe(false);
  return [first, second];
}

/** Who holds the lease; nobody when it was given up. */
async function holder(): Promise<string | undefined> {
  const { spec } = await plane.kubectl.json<{ spec: { holderIdentity?: string } }>(['get', 'lease', 'test-election']);
  return spec.holderIdentity || undefined;
}

// How soon, at the latest, is a matter of the elector's own test, which has a clock of its own.
describe('of two replicas, the second takes over', () => {
  test('when the leader is killed, and not before its lease may have ended', async () => {
    const [first] = await twoReplicas();
    const killedAt = Date.now();
    await end(first, 'SIGKILL');
    const tookMs = (await heard('second', 'leads')) - killedAt;
    expect(tookMs).toBeGreaterThan(10_000);
    printFigure(`leader killed with -9: the other leads after ${(tookMs / 1_000).toFixed(1)} s`);
  });

  test('when the leader is told to stop and gives the lease up, and not before it has stopped', async () => {
    const [first] = await twoReplicas();
    const toldAt = Date.now();
    await end(first, 'SIGTERM');
    expect(await holder()).not.toBe('first');
    const leadsAt = await heard('second', 'leads');
    expect(leadsAt).toBeGreaterThanOrEqual(await heard('first', 'stops'));
    printFigure(`leader stopped in order: the other leads after ${((leadsAt - toldAt) / 1_000).toFixed(1)} s`);
  });

  test('when the leader is frozen; once it thaws it finds that it has lost, and ends', async () => {
    const [first] = await twoReplicas();
    first.kill('SIGSTOP');
    await heard('second', 'leads');
    first.kill('SIGCONT');
    const thawedAt = Date.now();
    const lostAt = await heard('first', 'LeadershipLost');
    await eventually(async () => expect(first.exitCode).toBe(1));
    printFigure(`a frozen leader ends ${lostAt - thawedAt} ms after it thaws`);
  });
});

test('a leader that cannot reach the API server stops before its lease ends, and leads again without a restart', async () => {
  const first = await start('first');
  await heard('first', 'leads');
  const awayFrom = Date.now();
  // Killed, it is away from this very moment.
  await plane.restartApiServer({ downMs: 20_000, kill: true });
  const stoppedAt = await heard('first', 'stops');
  expect(stoppedAt - awayFrom).toBeLessThan(15_000);
  const leadsAgain = (): Said | undefined => said.find(({ what, at }) => what === 'leads' && at > stoppedAt);
  await eventually(async () => expect(leadsAgain()).toMatchObject({ identity: 'first' }), 60_000);
  expect(first.exitCode).toBeNull();
  const seconds = (at = 0): string => ((at - awayFrom) / 1_000).toFixed(1);
  printFigure(
    `API server away for 20 s: the leader stops after ${seconds(stoppedAt)} s, leads again after ${seconds(leadsAgain()?.at)} s`,
  );
});
