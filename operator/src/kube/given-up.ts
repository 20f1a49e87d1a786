import { AsyncLocalStorage } from 'node:async_hooks';

const signals = new AsyncLocalStorage<AbortSignal | undefined>();

/**
 * Does `work`, whose requests are all given up when the signal is aborted, without each of them being handed it: one that
 * was forgotten would keep a leader that has lost its lease from ending its work in time.
 * @param signal undefined: its requests outlast whatever this is called within
 */
export function givingUp<T>(signal: AbortSignal | undefined, work: () => T): T {
  return signals.run(signal, work);
}

/** The signal of the work that this is called within. */
export function signalOfWork(): AbortSignal | undefined {
  return signals.getStore();
}
