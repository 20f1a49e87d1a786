import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The processes that work in a folder, or have it in their command line or environment, as Linux tells it. */
export function runningIn(folder: string): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({
      pid: Number(pid),
      command: readProc(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')),
      environment: readProc(() => readFileSync(`/proc/${pid}/environ`, 'utf8')),
      cwd: readProc(() => readlinkSync(`/proc/${pid}/cwd`)),
    }))
    .filter((found) => [found.command, found.environment, found.cwd].some((text) => text.includes(folder)))
    .map(({ pid, command }) => ({ pid, command: command.replaceAll('\0', ' ').trim() }));
}

/** Empty for a process that has gone. */
function readProc(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/** Waits until a condition holds; fails when it does not within the time. */
export async function until(condition: () => boolean | Promise<boolean>, milliseconds = 30_000): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`still not so after ${milliseconds / 1_000} s: ${String(condition)}`);
    await sleep(50);
  }
}
