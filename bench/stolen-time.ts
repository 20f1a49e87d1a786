import { readFileSync } from 'node:fs';

/** Jiffies of all cores since the machine started. */
export interface CpuTimes {
  all: number;
  /** In which a core was wanted here, and the host gave it to another of its guests. */
  stolen: number;
}

/** @param stat the text of Linux's /proc/stat (proc_stat(5)) */
export function readCpuTimes(stat = readFileSync('/proc/stat', 'utf8')): CpuTimes {
  const [line = ''] = stat.split('\n', 1);
  // user, nice, system, idle, iowait, irq, softirq, steal; the guests' after these are in the first two already.
  const times = line.split(/\s+/).slice(1, 9).map(Number);
  return { all: times.reduce((sum, time) => sum + time, 0), stolen: times[7] ?? 0 };
}

/** The part of the cores' time since then that others had: what makes a wait of milliseconds that nothing here can avoid. */
export function stolenSince(earlier: CpuTimes, now = readCpuTimes()): number {
  return (now.stolen - earlier.stolen) / (now.all - earlier.all);
}
