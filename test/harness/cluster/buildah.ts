import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.ts';
import { hostProgram } from './host-programs.ts';
import { runCommand } from './run-command.ts';

/**
 * Runs buildah on a store of its own in the cache, so layers that have not changed are not built again. It needs no
 * daemon and no registry, and as it mounts in a namespace of its own, nothing stays mounted when it is killed.
 */
export async function runBuildah(args: string[], timeoutMs?: number): Promise<string> {
  const store = join(cacheFolder(), 'images');
  await mkdir(store, { recursive: true });
  const buildah = await hostProgram('buildah');
  return runCommand(
    await hostProgram('unshare'),
    ['--mount', buildah, '--root', join(store, 'root'), '--runroot', join(store, 'run'), ...args],
    {
      env: { ...process.env, STORAGE_DRIVER: 'overlay', BUILDAH_ISOLATION: 'chroot' },
      ...(timeoutMs ? { timeoutMs } : {}),
    },
  );
}

/** Whether the store has an image of that name. */
export async function hasImage(name: string): Promise<boolean> {
  const images = JSON.parse((await runBuildah(['images', '--json'])) || '[]') as { names?: string[] }[] | null;
  return images?.some(({ names }) => names?.includes(name)) === true;
}
