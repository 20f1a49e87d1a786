import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { removeCgroups } from './cgroups.ts';

const prefix = 'riskmodel-cluster-';
const ownerFile = 'owner.json';

interface Owner {
  pid: number;
  /** The kernel's time of the process' start, which tells it from a later process with the same id. */
  startTime: string;
}

/** Makes a temporary folder that says which process it belongs to. */
export async function makeRunFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  const owner: Owner = { pid: process.pid, startTime: startTimeOf(process.pid) };
  await writeFile(join(folder, ownerFile), JSON.stringify(owner));
  return folder;
}

/** The folders of runs that were killed before they could remove them. */
async function findAbandonedRunFolders(): Promise<string[]> {
  const abandoned: string[] = [];
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const folder = join(tmpdir(), name);
    const owner = await readOwner(folder);
    // A folder without an owner was made this instant, or is not ours.
    if (owner !== undefined && startTimeOf(owner.pid) !== owner.startTime) abandoned.push(folder);
  }
  return abandoned;
}

/**
 * Removes what killed runs left behind: folders, and the control groups that are named after them. Everything else of a
 * run ends with it.
 */
export async function removeAbandonedRuns(): Promise<void> {
  for (const folder of await findAbandonedRunFolders()) {
    try {
      await removeCgroups(basename(folder));
      await rm(folder, { recursive: true, force: true });
    } catch {
      // The processes of a run that was killed this instant may still be ending; a later run will find it again.
    }
  }
}

async function readOwner(folder: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, ownerFile), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/PID/stat; empty when there is no such process. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
