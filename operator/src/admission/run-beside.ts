/**
 * Runs programs beside each other until the signal is aborted. When one of them ends, the others are to end too, for a
 * process that does half of its work is never started again.
 * @throws what the first of them threw that failed, once all have ended.
 */
export async function runBeside(
  programs: ((signal: AbortSignal) => Promise<void>)[],
  signal: AbortSignal,
): Promise<void> {
  const ending = new AbortController();
  const ends = programs.map(async (run) => {
    try {
      await run(AbortSignal.any([signal, ending.signal]));
    } finally {
      ending.abort();
    }
  });
  const first = Promise.all(ends);
  // Looked at below, when the others have ended, which takes a while: until then it must not pass for unhandled.
  first.catch(() => {});
  await Promise.allSettled(ends);
  await first;
}
