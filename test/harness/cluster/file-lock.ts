import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Does some work while no other process does work under the same lock file. The kernel's lock is held by a child that
 * ends with its standard input, so a run that was killed leaves no lock behind.
 * @param onWait called when another process has the lock and is waited for
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>, onWait = (): void => {}): Promise<T> {
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // A Ctrl-C in the terminal must not take the lock away from work that is still being stopped.
    detached: true,
  });
  const exited = once(holder, 'exit');
  const notice = setTimeout(onWait, 1_000);
  try {
    const ended = exited.then(([code]) => Promise.reject(new Error(`flock ${file} ended (exit code ${code})`)));
    await Promise.race([once(holder.stdout, 'data'), ended]);
    ended.catch(() => {});
    clearTimeout(notice);
    return await work();
  } finally {
    clearTimeout(notice);
    holder.stdin.end();
    await exited.catch(() => {});
  }
}
