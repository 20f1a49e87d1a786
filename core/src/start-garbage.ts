import { performance, type EventLoopUtilization } from 'node:perf_hooks';

/** The largest part of a period for which a program is busy that has nothing to do. */
const mostBusy = 0.05;
const periodMilliseconds = 1_000;

/** What the collection needs of the process. */
export interface StartGarbageDeps {
  collect: () => void;
  /** As `performance.eventLoopUtilization`: since the earlier one, if one is given. */
  utilization: (earlier?: EventLoopUtilization) => EventLoopUtilization;
}

/**
 * Collects, once, what starting a program has left on its heap: a tenth of a server's memory, which V8 keeps for as long
 * as a program that does little needs no more. It takes a tenth of a second, so it waits for a second in which there is
 * nothing to do; of a program that never has one V8 collects in good time.
 */
export function collectStartGarbage({
  collect = collectAll,
  utilization = (earlier) => performance.eventLoopUtilization(earlier),
}: Partial<StartGarbageDeps> = {}): void {
  let earlier = utilization();
  const timer = setInterval(() => {
    const busy = utilization(earlier).utilization;
    earlier = utilization();
    if (busy > mostBusy) return;
    clearInterval(timer);
    collect();
  }, periodMilliseconds);
  timer.unref();
}

/** Nothing, where Node was not started with `--expose-gc`. */
function collectAll(): void {
  // The flavor that also gives emptied pages back, as V8 does when memory has become scarce.
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
