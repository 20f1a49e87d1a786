import '@riskmodel/core/young-buffers.ts';
import { messageOf } from '@riskmodel/core/errors.ts';
import { readSettings, startQueueWorker } from './queue-worker.ts';

try {
  const worker = await startQueueWorker(readSettings(process.env));
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await worker.stop();
    // BullMQ may still be waiting for a Redis that is away.
    process.exit();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void (stopping ??= stop()));
} catch (error) {
  process.stderr.write(`riskmodel queue-worker: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
