import { existsSync } from 'node:fs';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = '/sys/fs/cgroup';

/** Makes a control group of that name in every hierarchy, for all the containers of one node. */
export async function makeCgroups(name: string): Promise<void> {
  for (const hierarchy of await hierarchies()) await mkdir(join(hierarchy, name), { recursive: true });
}

/** The file of version 1 and of version 2, with the most that it takes: before nearly all else on the machine. */
const cpuWeights = { 'cpu.shares': '262144', 'cpu.weight': '10000' };

/**
 * Has the containers get their part of a machine that is busy with other things too. The kubelet gives them together
 * what one process a processor gets, with which they would hardly answer; so it comes first.
 */
export async function weighCgroups(name: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    for (const [file, value] of Object.entries(cpuWeights)) {
      const path = join(hierarchy, name, file);
      if (existsSync(path)) await writeFile(path, value);
    }
  }
}

/** Removes the control groups of that name; what was in them must have been ended. */
export async function removeCgroups(name: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const folder = join(hierarchy, name);
    if (existsSync(folder)) await removeTree(folder);
  }
}

/** One for each controller with version 1 of control groups, the root itself with version 2. */
async function hierarchies(): Promise<string[]> {
  if (!existsSync(root)) return [];
  if (existsSync(join(root, 'cgroup.controllers'))) return [root];
  const entries = await readdir(root, { withFileTypes: true });
  // Some controllers go by a second name, a symbolic link.
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name));
}

/** A group's files can't be removed and need not be: only the folders count. */
async function removeTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  }
  for (let attempt = 1; ; attempt++) {
    try {
      await rmdir(folder);
      return;
    } catch (error) {
      // A process that was killed stays in its group until the kernel is through with it.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || attempt === 100) throw error;
      await sleep(50);
    }
  }
}
