import { messageOf } from '@riskmodel/core/errors.ts';
import { readSettings, startQueueWorker } from './queue-worker.ts';

try {
  const worker = await startQueueWorker(readSettings(process.env));
  let stopping: Promise<void> | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void (stopping ??= worker.stop()));
} catch (error) {
  process.stderr.write(`riskmodel queue-worker: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
