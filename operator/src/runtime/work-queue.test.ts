import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { FakeClock } from '../testing/fake-clock.ts';
import { makeQueueMetrics } from './work-queue-metrics.ts';
import { WorkQueue } from './work-queue.ts';

let clock: FakeClock;
let queue: WorkQueue;
beforeEach(() => {
  clock = new FakeClock();
  queue = new WorkQueue({ clock, backoff: { baseMs: 100, maxMs: 1_000 } });
});

/** Takes what is due. */
async function takeAll(): Promise<string[]> {
  const keys: string[] = [];
  while (queue.depth > 0) keys.push((await queue.take()) as string);
  return keys;
}

describe('what is handed out', () => {
  test.each<[string, (queue: WorkQueue) => void, string[]]>([
    [
      'is in the order in which it was added',
      (queue) => ['b', 'a', 'c'].forEach((key) => queue.add(key)),
      ['b', 'a', 'c'],
    ],
    [
      'is there once, however often it was added',
      (queue) => ['a', 'b', 'a'].forEach((key) => queue.add(key)),
      ['a', 'b'],
    ],
    ['is due at once when it is to be after no time', (queue) => queue.addAfter('a', 0), ['a']],
    ['is nothing that is due later', (queue) => queue.addAfter('a', 1), []],
  ])('%s', async (_, add, expected) => {
    add(queue);
    expect(await takeAll()).toEqual(expected);
  });

  test('goes to whoever waits for it', async () => {
    const [first, second] = [queue.take(), queue.take()];
    queue.add('a');
    queue.add('b');
    expect(await Promise.all([first, second])).toEqual(['a', 'b']);
  });
});

describe('a key that is worked on', () => {
  beforeEach(async () => {
    queue.add('a');
    await queue.take();
  });

  test.each<[string, (queue: WorkQueue) => void, string[]]>([
    ['comes back when it was added meanwhile', (queue) => queue.add('a'), ['a']],
    ['comes back once, however often', (queue) => ['a', 'a'].forEach((key) => queue.add(key)), ['a']],
    ['does not come back when it was not', () => {}, []],
  ])('%s, and not before it is done', async (_, add, expected) => {
    add(queue);
    expect(await takeAll()).toEqual([]);
    queue.done('a');
    expect(await takeAll()).toEqual(expected);
  });

  test('comes back later when it is due later', async () => {
    queue.addAfter('a', 50);
    queue.done('a');
    expect(await takeAll()).toEqual([]);
    await clock.advance(50);
    expect(await takeAll()).toEqual(['a']);
  });

  test('is not handed out twice when it becomes due meanwhile', async () => {
    queue.addAfter('a', 50);
    await clock.advance(50);
    expect(await takeAll()).toEqual([]);
    queue.done('a');
    expect(await takeAll()).toEqual(['a']);
  });
});

describe('a key that is due later', () => {
  test.each<[string, (queue: WorkQueue) => void, number]>([
    ['by the nearer of two times, set last', (queue) => queue.addAfter('a', 20), 20],
    ['by the nearer of two times, set first', (queue) => queue.addAfter('a', 100), 50],
    ['not at all when it is added', (queue) => queue.add('a'), 0],
  ])('is so %s', async (_, change, expected) => {
    queue.addAfter('a', 50);
    change(queue);
    if (expected > 0) await clock.advance(expected - 1);
    expect(await takeAll()).toEqual(expected > 0 ? [] : ['a']);
    await clock.advance(1);
    expect(await takeAll()).toEqual(expected > 0 ? ['a'] : []);
    queue.done('a');
    await clock.advance(1_000);
    expect(await takeAll()).toEqual([]);
    expect(clock.timers).toBe(0);
  });
});

/** How long the key then waits. */
async function failAndWait(): Promise<number> {
  queue.add('a');
  await queue.take();
  queue.retry('a');
  queue.done('a');
  const startedAt = clock.now();
  while (queue.depth === 0) await clock.advance(50);
  queue.done((await queue.take()) as string);
  return clock.now() - startedAt;
}

describe('a key that fails', () => {
  test('waits twice as long each time, up to a limit, until it is forgotten', async () => {
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) waits.push(await failAndWait());
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    queue.forget('a');
    expect(await failAndWait()).toBe(100);
  });

  test('does not slow down others', async () => {
    for (let i = 0; i < 3; i++) queue.retry('a');
    queue.retry('b');
    await clock.advance(100);
    expect(await takeAll()).toContain('b');
  });

  test('may be given another wait, such as one the server asked for', async () => {
    queue.retry('a', (backoffMs) => backoffMs + 11);
    await clock.advance(110);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(queue.depth).toBe(1);
  });
});

describe('a queue that is shut down', () => {
  test('lets those who wait go, and takes nothing in', async () => {
    const waiting = queue.take();
    queue.addAfter('a', 10);
    queue.shutDown();
    queue.add('b');
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
    expect([queue.depth, queue.delayed, clock.timers]).toEqual([0, 0, 0]);
  });

  test('is idle when what was begun has ended', async () => {
    queue.add('a');
    await queue.take();
    queue.shutDown();
    let isIdle = false;
    const idle = queue.idle().then(() => (isIdle = true));
    await clock.advance(1_000);
    expect(isIdle).toBe(false);
    queue.done('a');
    await idle;
    expect(isIdle).toBe(true);
  });
});

/** `ms` is for `addAfter` only. */
type Asking = { do: 'add' | 'retry' | 'addAfter'; key: string; ms: number };
type Step = Asking | { do: 'done'; key: string } | { do: 'take' } | { do: 'advance'; ms: number };

const anyKey = fc.constantFrom('a', 'b', 'c');
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom('add' as const, 'retry' as const, 'addAfter' as const),
    key: anyKey,
    ms: fc.nat(300),
  }),
  fc.record({ do: fc.constant('done' as const), key: anyKey }),
  fc.constant({ do: 'take' as const }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.nat(300) }),
);

test('whatever happens, no key is worked on twice at a time, waits twice, or is lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 60 }), async (steps) => {
      const clock = new FakeClock();
      const queue = new WorkQueue({ clock, backoff: { baseMs: 100, maxMs: 1_000 } });
      const active = new Set<string>();
      /** Keys that were asked for since they were last handed out. */
      const owed = new Set<string>();
      const take = async (): Promise<void> => {
        const key = (await queue.take()) as string;
        expect(active.has(key)).toBe(false);
        expect(owed.has(key)).toBe(true);
        active.add(key);
        owed.delete(key);
      };
      const done = (key: string): void => {
        queue.done(key);
        active.delete(key);
      };
      const ask = (step: Asking): void => {
        owed.add(step.key);
        if (step.do === 'add') queue.add(step.key);
        else if (step.do === 'retry') queue.retry(step.key);
        else queue.addAfter(step.key, step.ms);
        expect(queue.depth + queue.delayed).toBeLessThanOrEqual(3);
      };
      for (const step of steps) {
        if (step.do === 'advance') await clock.advance(step.ms);
        else if (step.do === 'done') done(step.key);
        else if (step.do !== 'take') ask(step);
        else if (queue.depth > 0) await take();
      }
      for (const key of active) done(key);
      await clock.advance(1_000);
      while (queue.depth > 0) await take();
      expect([...owed]).toEqual([]);
      for (const key of active) done(key);
      expect([queue.depth, queue.delayed]).toEqual([0, 0]);
    }),
    { numRuns: 300 },
  );
});

test("is measured under client-go's names", async () => {
  const registry = new Registry();
  queue = new WorkQueue({ clock, metrics: makeQueueMetrics(registry)('models') });
  queue.add('a');
  queue.add('a');
  queue.add('b');
  await clock.advance(2_000);
  await queue.take();
  await clock.advance(5_000);
  const labels = '{name="models",controller="models"}';
  const text = await registry.metrics();
  for (const line of [
    `workqueue_depth${labels} 1`,
    `workqueue_adds_total${labels} 2`,
    `workqueue_retries_total${labels} 0`,
    `workqueue_queue_duration_seconds_sum${labels} 2`,
    `workqueue_unfinished_work_seconds${labels} 5`,
    `workqueue_longest_running_processor_seconds${labels} 5`,
  ]) {
    expect(text).toContain(line);
  }
  queue.done('a');
  queue.retry('a');
  const after = await registry.metrics();
  expect(after).toContain(`workqueue_work_duration_seconds_sum${labels} 5`);
  expect(after).toContain(`workqueue_retries_total${labels} 1`);
});
