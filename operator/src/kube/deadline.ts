/** A signal that ends with another one or after a time, whichever comes first, and can be let go. */
export interface Deadline {
  signal: AbortSignal;
  /** Whether the time was up, rather than the outer signal aborted. */
  isOver: () => boolean;
  /** From now on only the outer signal counts. */
  stopClock: () => void;
  /** Lets go of the outer signal too. To be called in the end; `AbortSignal.any` would hold on until collected. */
  release: () => void;
}

export function makeDeadline(ms: number, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = !controller.signal.aborted;
    controller.abort();
  }, ms);
  const end = (): void => controller.abort(outer?.reason);
  const stopClock = (): void => clearTimeout(timer);
  if (outer?.aborted) end();
  else outer?.addEventListener('abort', end, { once: true });
  return {
    signal: controller.signal,
    isOver: () => isOver,
    stopClock,
    release: () => {
      stopClock();
      outer?.removeEventListener('abort', end);
    },
  };
}
