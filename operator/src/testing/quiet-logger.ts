import { makeLogger, type Logger } from '@riskmodel/core/telemetry/logger.ts';

/** A logger for tests, with what was logged. */
export function quietLogger(): { logger: Logger; entries: Record<string, unknown>[] } {
  const entries: Record<string, unknown>[] = [];
  const write = (line: string): void => void entries.push(JSON.parse(line) as Record<string, unknown>);
  return { logger: makeLogger('test', 'debug', { write }), entries };
}
