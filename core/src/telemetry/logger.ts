import { pino, type DestinationStream, type Logger } from 'pino';
import type { LogLevel } from '../config.ts';
import { version } from '../version.ts';
import { standardOutput } from './line-collector.ts';

export type { Logger } from 'pino';

const severities: Record<string, string> = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
};

const reportedErrorEvent = 'type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent';

/**
 * A logger that writes one JSON object a line, in the field names that Cloud Logging knows (`severity`, `message`,
 * `time`; errors with their stack in `stack_trace`, and with what caused them). An error logged at level error or fatal
 * is also an event of Error Reporting, which groups errors by the stack. What is logged must not hold feature values or
 * secrets.
 * Sources: https://cloud.google.com/logging/docs/structured-logging,
 * https://cloud.google.com/error-reporting/docs/formatting-error-messages
 */
export function makeLogger(program: string, level: LogLevel, destination?: DestinationStream): Logger {
  const serviceContext = { service: `riskmodel-${program}`, version: version() };
  return pino(
    {
      level,
      messageKey: 'message',
      base: { program },
      timestamp: makeTimeField(),
      formatters: { level: (label) => ({ severity: severities[label] ?? 'DEFAULT' }) },
      serializers: { err: errorFields },
      mixin(entry: { err?: unknown }, levelNumber) {
        if (levelNumber < pino.levels.values['error']! || !(entry.err instanceof Error)) return {};
        return { '@type': reportedErrorEvent, serviceContext, stack_trace: entry.err.stack };
      },
    },
    destination ?? standardOutput(),
  );
}

/**
 * Writes what `logger.info(fields, message)` writes, of what is JSON already: the text of the fields, without braces, and
 * that of the message. Making a line of objects takes pino several microseconds, which is much for what comes with every
 * request.
 */
export function infoLines(logger: Logger): (fields: string, message: string) => void {
  const parts = logger as unknown as Record<symbol, unknown>;
  const stream = parts[pino.symbols.streamSym] as DestinationStream;
  const time = parts[pino.symbols.timeSym] as () => string;
  const bound = parts[pino.symbols.chindingsSym] as string;
  const start = `{"severity":"${severities['info']}"`;
  return (fields, message) => stream.write(`${start}${time()}${bound},${fields},"message":${message}}\n`);
}

/** The field of the time of now. At thousands of lines a second most have the time of the one before. */
function makeTimeField(): () => string {
  let last = 0;
  let field = '';
  return () => {
    const now = Date.now();
    if (now !== last) {
      last = now;
      field = `,"time":"${new Date(now).toISOString()}"`;
    }
    return field;
  };
}

function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  const cause = error.cause === undefined ? undefined : errorFields(error.cause);
  return { name: error.name, message: error.message, code, stack_trace: error.stack, cause };
}
