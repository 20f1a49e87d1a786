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

jest.setTimeout(120_000);

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
async function heard(identity: string, what: string, timeoutMs = 30_000): Promise<number> {
  let at = 0;
  await eventually(async () => {
    const entry = said.find((each) => each.identity === identity && each.what === what);
    if (entry === undefined)
      throw new Error([`${identity} has not said "${what}"`, ...complaints.slice(-20)].join('\n'));
    at = entry.at;
  }, timeoutMs);
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

describe('of two replicas, the second takes over', () => {
  test('within 20 seconds when the leader is killed', async () => {
    const [first] = await twoReplicas();
    const killedAt = Date.now();
    await end(first, 'SIGKILL');
    const tookMs = (await heard('second', 'leads')) - killedAt;
    expect(tookMs).toBeGreaterThan(10_000);
    expect(tookMs).toBeLessThan(20_000);
    printFigure(`leader killed with -9: the other leads after ${(tookMs / 1_000).toFixed(1)} s`);
  });

  test('within a few seconds when the leader is told to stop, and not before it has stopped', async () => {
    const [first] = await twoReplicas();
    const toldAt = Date.now();
    await end(first, 'SIGTERM');
    const leadsAt = await heard('second', 'leads');
    expect(leadsAt).toBeGreaterThanOrEqual(await heard('first', 'stops'));
    expect(leadsAt - toldAt).toBeLessThan(7_000);
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

test('a leader that cannot reach the API server ends before its lease does, and somebody leads when that is back', async () => {
  await start('first');
  await heard('first', 'leads');
  const awayFrom = Date.now();
  await plane.restartApiServer({ downMs: 14_000 });
  const lostAt = await heard('first', 'LeadershipLost');
  expect(lostAt - awayFrom).toBeLessThan(15_000);
  await start('second');
  await heard('second', 'leads');
  printFigure(`API server away: the leader ends after ${((lostAt - awayFrom) / 1_000).toFixed(1)} s`);
});
