import './async-context.ts';
import '@riskmodel/core/young-buffers.ts';
import { messageOf } from '@riskmodel/core/errors.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import { RunningServer } from './running-server.ts';
import { readSettings } from './settings.ts';

/** Serves until a signal says stop. The exit code is 0 then, and 1 when the models can't be served. */
async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const logger = makeLogger('server', settings.logLevel);
  const server = new RunningServer(settings, logger);
  const stopSignal = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
  const failure = server.start().then(
    () => new Promise<never>(() => {}),
    (error: unknown) => ({ error }),
  );
  const end = await Promise.race([failure, stopSignal]);
  if (typeof end === 'string') logger.info({ signal: end }, 'stopping');
  else logger.error({ err: end.error }, 'the models cannot be served');
  await server.stop();
  // Last, since Kubernetes keeps the end of what was printed, and the log's own lines are long.
  if (typeof end !== 'string') fail(end.error);
}

/** Tells whoever started the server, in words, and makes the exit code say so too. */
function fail(error: unknown): void {
  process.stderr.write(`riskmodel server: ${messageOf(error)}\n`);
  process.exitCode = 1;
}

await main().catch(fail);
