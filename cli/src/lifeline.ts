/**
 * A child process must never outlive the program that started it, even when that program is killed with SIGKILL and
 * can't clean up. Each child therefore holds one end of a pipe; the kernel closes the other end with the parent, and
 * that ends the child. Node programs hold it as their IPC channel, other programs through a small shell.
 *
 * The children lead process groups of their own, so Ctrl-C in a terminal reaches the parent alone, which then stops
 * them in order.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const endWithParent = fileURLToPath(new URL('end-with-parent.ts', import.meta.url));

/**
 * Runs the program "$@" until it ends or the pipe on standard input does: then the program is asked to stop. The
 * program itself gets neither the pipe nor another input.
 */
const holdLifeline = `
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
{ while read -r _ <&3; do :; done; kill -TERM "$program"; } 2>/dev/null &
watcher=$!
wait "$program"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"`;

/** Starts a TypeScript or JavaScript file on this Node; its output goes to `logFd`. It ends when this process does. */
export function spawnNode(file: string, options: { env: NodeJS.ProcessEnv; logFd: number }): ChildProcess {
  return spawn(process.execPath, ['--import', endWithParent, file], {
    env: options.env,
    stdio: ['ignore', options.logFd, options.logFd, 'ipc'],
    detached: true,
  });
}

/** Starts any program; its output goes to `logFd`. It ends when this process does, or when its input is closed. */
export function spawnProgram(command: string, args: string[], options: { logFd: number }): ChildProcess {
  const child = spawn('/bin/sh', ['-c', holdLifeline, 'sh', command, ...args], {
    stdio: ['pipe', options.logFd, options.logFd],
    detached: true,
  });
  // Closing a pipe whose reader has gone is no news.
  child.stdin?.on('error', () => {});
  return child;
}

/** Asks a child to stop, waits, and kills it with all it has started when it takes longer than `graceMs`. */
export async function stopChild(child: ChildProcess, graceMs: number): Promise<void> {
  if (!isRunning(child)) return;
  const exited = once(child, 'exit');
  if (child.stdin) child.stdin.end();
  else child.kill('SIGTERM');
  const timer = setTimeout(() => killGroup(child), graceMs);
  await exited;
  clearTimeout(timer);
}

export function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

function killGroup(child: ChildProcess): void {
  try {
    process.kill(-(child.pid as number), 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
}
