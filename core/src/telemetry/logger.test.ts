import { beforeEach, describe, expect, test } from '@jest/globals';
import { RiskModelError } from '../errors.ts';
import { infoLines, makeLogger, type Logger } from './logger.ts';

let lines: string[];
beforeEach(() => {
  lines = [];
});

function loggerAt(level: 'debug' | 'info' | 'warn' | 'error'): Logger {
  return makeLogger('server', level, { write: (line) => void lines.push(line) });
}

/** The one entry that was logged. */
function entry(): Record<string, unknown> {
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] as string) as Record<string, unknown>;
}

test.each([
  ['debug', 'DEBUG'],
  ['info', 'INFO'],
  ['warn', 'WARNING'],
  ['error', 'ERROR'],
  ['fatal', 'CRITICAL'],
] as const)('%s has the severity that Cloud Logging calls %s', (level, severity) => {
  loggerAt('debug')[level]('ready');
  expect(entry()).toEqual({
    severity,
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    program: 'server',
    message: 'ready',
  });
});

test('an entry is one line of JSON, whatever is in it', () => {
  loggerAt('info').info({ uri: 'gs://b/a\nb', note: '"\u2028\0' }, 'two\nlines');
  expect(lines[0]).toMatch(/^\{[^\n\r]*\}\n$/);
  expect(entry()).toMatchObject({ uri: 'gs://b/a\nb', note: '"\u2028\0', message: 'two\nlines' });
});

/** Between two lines the time may have gone on. */
function withoutTime(line: string | undefined): string {
  return (line ?? '').replace(/"time":"[^"]+"/, '"time":""');
}

test('a line of fields that are JSON already is the line of the fields', () => {
  const logger = loggerAt('info').child({ model: 'credit' });
  const fields = { request: { status: 200, url: '/a"b' }, id: 'r1' };
  logger.info(fields, 'two\n"words"');
  infoLines(logger)(JSON.stringify(fields).slice(1, -1), JSON.stringify('two\n"words"'));
  expect(withoutTime(lines[1])).toBe(withoutTime(lines[0]));
});

test('what is below the level is not logged', () => {
  const logger = loggerAt('warn');
  logger.info('unheard');
  logger.debug('unheard');
  logger.warn('heard');
  expect(entry()).toMatchObject({ message: 'heard' });
});

test('a child has the fields of its own, and the same names', () => {
  loggerAt('info').child({ batchId: 'b1' }).warn('late');
  expect(entry()).toMatchObject({ severity: 'WARNING', program: 'server', batchId: 'b1', message: 'late' });
});

describe('an error', () => {
  test('is told by name, message, code and stack', () => {
    const err = new RiskModelError('NotFound', 'gs://b/a does not exist');
    loggerAt('info').error({ err }, 'batch failed');
    expect(entry()).toMatchObject({
      message: 'batch failed',
      err: {
        name: 'RiskModelError',
        code: 'NotFound',
        message: 'gs://b/a does not exist',
        stack_trace: expect.stringMatching(/^RiskModelError: gs:\/\/b\/a does not exist\n {4}at /),
      },
    });
  });

  test('is told with the error that caused it', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    loggerAt('info').warn({ err: new RiskModelError('ArtifactUnreadable', "can't be read", { cause }) }, 'again');
    expect(entry()).toMatchObject({
      err: { cause: { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED', stack_trace: expect.any(String) } },
    });
  });

  test('without a code has none', () => {
    loggerAt('info').error({ err: new TypeError('no') }, 'failed');
    expect(Object.keys(entry()['err'] as object).toSorted()).toEqual(['message', 'name', 'stack_trace']);
  });

  test('logged alone gives the entry its message', () => {
    loggerAt('info').error(new Error('broken'));
    expect(entry()).toMatchObject({ severity: 'ERROR', message: 'broken', err: { message: 'broken' } });
  });

  const reported = 'type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent';

  test.each(['error', 'fatal'] as const)('at level %s is an event of Error Reporting, to the letter', (level) => {
    const err = new RiskModelError('NotFound', 'gs://b/a does not exist', { cause: new TypeError('inner') });
    err.stack = 'RiskModelError: gs://b/a does not exist\n    at load (model.ts:1:2)';
    (err.cause as Error).stack = 'TypeError: inner\n    at parse (model.ts:3:4)';
    loggerAt('info')[level]({ requestId: 'r1', err }, 'answering 500');
    expect(entry()).toEqual({
      severity: level === 'error' ? 'ERROR' : 'CRITICAL',
      time: expect.any(String),
      program: 'server',
      '@type': reported,
      serviceContext: { service: 'riskmodel-server', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) },
      message: 'answering 500',
      stack_trace: 'RiskModelError: gs://b/a does not exist\n    at load (model.ts:1:2)',
      requestId: 'r1',
      err: {
        name: 'RiskModelError',
        message: 'gs://b/a does not exist',
        code: 'NotFound',
        stack_trace: 'RiskModelError: gs://b/a does not exist\n    at load (model.ts:1:2)',
        cause: { name: 'TypeError', message: 'inner', stack_trace: 'TypeError: inner\n    at parse (model.ts:3:4)' },
      },
    });
  });

  test('logged alone or by a child is an event too', () => {
    loggerAt('info').child({ batchId: 'b1' }).error(new Error('broken'));
    expect(entry()).toMatchObject({ '@type': reported, stack_trace: expect.stringMatching(/^Error: broken\n/) });
  });

  test.each(['debug', 'info', 'warn'] as const)('at level %s is none: it was dealt with', (level) => {
    loggerAt('debug')[level]({ err: new Error('again') }, 'trying again');
    expect(Object.keys(entry())).toEqual(['severity', 'time', 'program', 'err', 'message']);
  });

  test('an entry of level error without an error is none: there is no stack to group it by', () => {
    loggerAt('info').error({ status: 500 }, 'POST /x 500');
    expect(Object.keys(entry())).toEqual(['severity', 'time', 'program', 'status', 'message']);
  });

  test('that is none is told as it is', () => {
    loggerAt('info').error({ err: 'a text that was thrown' }, 'failed');
    expect(entry()).toMatchObject({ err: 'a text that was thrown' });
  });
});
