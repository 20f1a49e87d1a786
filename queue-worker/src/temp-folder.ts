import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const prefix = 'riskmodel-worker-';

/**
 * Makes the folder for a worker's temporary files, named by its process, and removes those of workers that were killed:
 * a chunk's files are large, and nobody else would.
 *
 * @param parent the system's folder for temporary files
 */
export async function makeTempFolder(parent: string): Promise<string> {
  const names = (await readdir(parent)).filter((name) => name.startsWith(prefix));
  const abandoned = names.filter((name) => isAbandoned(Number(name.slice(prefix.length).split('-')[0])));
  await Promise.all(abandoned.map((name) => rm(join(parent, name), { recursive: true, force: true })));
  return mkdtemp(join(parent, `${prefix}${process.pid}-`));
}

/** In a container every worker has the same process number; a folder of ours that is there already is an older one's. */
function isAbandoned(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
