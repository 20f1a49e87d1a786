import { expect, test } from '@jest/globals';
import { runBeside } from './run-beside.ts';

const untilAborted =
  (ended: string[], name: string) =>
  (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        ended.push(name);
        resolve();
      });
    });

async function failing(): Promise<void> {
  throw new Error('lost');
}

test('programs run until they are told to end', async () => {
  const ended: string[] = [];
  const stop = new AbortController();
  const running = runBeside([untilAborted(ended, 'a'), untilAborted(ended, 'b')], stop.signal);
  expect(ended).toEqual([]);
  stop.abort();
  await running;
  expect(ended).toEqual(['a', 'b']);
});

test('one that fails takes the others with it, and says why', async () => {
  const ended: string[] = [];
  const running = runBeside([untilAborted(ended, 'a'), failing], new AbortController().signal);
  await expect(running).rejects.toThrow('lost');
  expect(ended).toEqual(['a']);
});

test('what one failed with waits for those that take longer to end', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    const slow = async (signal: AbortSignal): Promise<void> => {
      await untilAborted([], 'slow')(signal);
      // An error that nobody looks at is told of when the current turn is over.
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await expect(runBeside([slow, failing], new AbortController().signal)).rejects.toThrow('lost');
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
  }
});
