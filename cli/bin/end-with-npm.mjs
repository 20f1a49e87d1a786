// `npm start` and `npx riskmodel` run their command in a shell, and pass a signal on to that shell alone: it dies, npm
// ends, and the command would go on without anybody who could stop it. Plain JavaScript without dependencies, because
// it runs on whatever Node the machine has.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const pollMs = 250;

/**
 * Has this process told to stop (SIGTERM) when npm, or the shell between npm and this process, has gone. Does nothing
 * for a process that npm did not start: it may well outlive its parent, as after `riskmodel up &` in a shell that ends.
 */
export function endWithNpm() {
  const { npm_command: command, npm_lifecycle_event: script } = process.env;
  if (command === undefined && script === undefined) return;
  const parent = process.ppid;
  // A shell that npm started, and not one that became this process' parent by leaving out itself: then npm is.
  const grandparent = isShellOfNpm(parent) ? parentOf(parent) : undefined;
  const timer = setInterval(() => {
    if (process.ppid === parent && (grandparent === undefined || parentOf(parent) === grandparent)) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, pollMs);
  timer.unref();
}

/** Whether a process is `sh -c COMMAND`. Linux only; elsewhere the shell's own end is all that is noticed. */
function isShellOfNpm(pid) {
  const [program = '', option] = readProc(pid, 'cmdline').split('\0');
  return basename(program).endsWith('sh') && option === '-c';
}

/** A process' parent, undefined where it can't be told. */
function parentOf(pid) {
  // "PID (NAME) STATE PARENT ...", and the name may hold anything.
  const stat = readProc(pid, 'stat');
  const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  return Number.isInteger(parent) ? parent : undefined;
}

function readProc(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
