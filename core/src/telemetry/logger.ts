import { pino, type DestinationStream, type Logger } from 'pino';
import type { LogLevel } from '../config.ts';

export type { Logger } from 'pino';

const severities: Record<string, string> = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
};

/**
 * A logger that writes one JSON object a line, in the field names that Cloud Logging knows (`severity`, `message`,
 * `time`; errors with their stack in `stack_trace`, and with what caused them). What is logged must not hold feature
 * values or secrets.
 * Source: https://cloud.google.com/logging/docs/structured-logging
 */
export function makeLogger(program: string, level: LogLevel, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      messageKey: 'message',
      base: { program },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ severity: severities[label] ?? 'DEFAULT' }) },
      serializers: { err: errorFields },
    },
    destination ?? pino.destination({ fd: 1, sync: false }),
  );
}

function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  const cause = error.cause === undefined ? undefined : errorFields(error.cause);
  return { name: error.name, message: error.message, code, stack_trace: error.stack, cause };
}
