import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Repeats a check until it passes; fails as it does when it has not passed by then. What is waited for takes a moment; the
 * time is for a machine that is busy with other things too.
 */
export async function eventually(check: () => Promise<void>, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
