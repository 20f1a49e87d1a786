import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a condition holds; fails when it does not within the time, which is for a machine that is busy. */
export async function until(condition: () => boolean | Promise<boolean>, milliseconds = 25_000): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${condition.toString()}`);
    await sleep(5);
  }
}
