import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Linux counts it in hundredths of a second. */
const ticksPerSecond = 100;

/** The CPU that a process has used, in seconds; 0 for one that is gone. */
export function cpuSecondsOf(pid: number | string | undefined): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in parentheses, which may have any character in it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return 0;
  }
}

/** The CPU, in seconds, that the programs have used whose arguments mention a text, by their names. */
export function cpuSecondsByProgram(mention: string): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const [command = '', ...args] = readCommandLine(id);
    const name = basename(command);
    // The shells that start the programs and end them with the test.
    if (name === 'sh' || !args.some((arg) => arg.includes(mention))) continue;
    seconds.set(name, (seconds.get(name) ?? 0) + cpuSecondsOf(id));
  }
  return seconds;
}

function readCommandLine(id: string): string[] {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
