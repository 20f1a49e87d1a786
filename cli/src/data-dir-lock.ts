import { readFileSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { linkIfAbsent } from '@riskmodel/core/storage/folder.ts';
import { CommandError } from './errors.ts';

interface Owner {
  pid: number;
  /** When the process was started, in the kernel's clock; tells it from a later one with the same id. */
  startTime: string | null;
}

/**
 * Makes this process the only one that runs a system on the data folder; returns the function that gives it up. The
 * lock of a process that was killed is taken over.
 *
 * @throws CommandError naming the process that has it
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const lock = join(dataDir, 'up.lock');
  const mine = `${lock}.${process.pid}`;
  const owner: Owner = { pid: process.pid, startTime: startTimeOf(process.pid) };
  await writeFile(mine, JSON.stringify(owner));
  try {
    while (!(await linkIfAbsent(mine, lock))) await removeStale(lock, dataDir);
  } finally {
    await rm(mine, { force: true });
  }
  return () => rm(lock, { force: true });
}

/** Removes a lock whose owner has gone. */
async function removeStale(lock: string, dataDir: string): Promise<void> {
  const text = await readFile(lock, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const owner = parseOwner(text);
  if (owner && isAlive(owner)) {
    throw new CommandError(
      `the data folder ${dataDir} is in use by another riskmodel (process ${owner.pid}): stop that one, or give this one another folder with --data`,
    );
  }
  // Another process may have replaced the stale lock in the meantime; a rename can be looked at and undone.
  const aside = `${lock}.${process.pid}.stale`;
  await rename(lock, aside).catch(() => {});
  if ((await readFile(aside, 'utf8').catch(() => text)) !== text) await linkIfAbsent(aside, lock);
  await rm(aside, { force: true });
}

function parseOwner(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Owner;
    return Number.isInteger(owner.pid) ? owner : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, startTime }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startTime === null || startTime === startTimeOf(pid);
}

/** Field 22 of Linux' /proc/PID/stat; null on other systems. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
