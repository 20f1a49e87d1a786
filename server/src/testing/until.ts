import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a condition holds; fails when it does not within the time. */
export async function until(condition: () => boolean | Promise<boolean>, milliseconds = 10_000): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${condition.toString()}`);
    await sleep(5);
  }
}
