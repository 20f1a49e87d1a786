// Loaded into server and queue-worker before their own code (`node --import`) when the command line starts them: when
// the process at the other end of the IPC channel has gone, they shut down as they do on SIGTERM.

/** Longer than any orderly shutdown takes. */
const graceMs = 30_000;

process.once('disconnect', () => {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.exit(1), graceMs).unref();
});
// Waiting for the parent's end is no reason to keep running.
process.channel?.unref();
