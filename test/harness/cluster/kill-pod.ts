import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Kills every process of a pod's containers with SIGKILL, as the kernel does when memory runs out. The kubelet starts the
 * containers again. The pod's own first process, which holds its namespaces, is left alone.
 * @returns how many processes there were
 */
export async function killPodProcesses(podName: string): Promise<number> {
  let killed = 0;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // Every container is told its pod's name as that of its machine. Processes end while they are looked at.
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (!environment.split('\0').includes(`HOSTNAME=${podName}`)) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
      killed++;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  return killed;
}

/** Kills a pod's processes as often as the kubelet starts them, as if its machine had failed, until the signal is aborted. */
export async function keepPodDead(podName: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await killPodProcesses(podName);
    await sleep(200);
  }
}
