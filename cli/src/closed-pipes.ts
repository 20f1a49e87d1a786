/**
 * Makes this process bear that nobody reads any longer what it prints. The reader of standard output may have had
 * enough (`riskmodel batch list | head -1`): then there is nothing left to do. Messages on standard error are said into
 * the void, so that a system whose log collector went first is still stopped in order.
 */
export function bearClosedPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  process.stderr.on('error', () => {});
}
