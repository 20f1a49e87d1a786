import { describe, expect, test } from '@jest/globals';
import { compareSchedules, dueTime, expandInput, type Scheduler } from './schedules.ts';

const nightly = { name: 'nightly', cron: '0 3 * * *', timeZone: 'Europe/Berlin', input: 'gs://in-put/{{date}}.csv' };
const scheduler: Scheduler = {
  key: 'nightly',
  name: 'schedule',
  pattern: nightly.cron,
  tz: nightly.timeZone,
  template: { data: { schedule: 'nightly', input: nightly.input, timeZone: nightly.timeZone } },
};

describe('schedules and schedulers', () => {
  test('that agree are left alone, since setting one anew calls off its due job', () => {
    expect(compareSchedules([scheduler], [nightly])).toEqual({ upsert: [], remove: [] });
  });

  test.each([
    ['a new schedule', [], [nightly]],
    ['another cron', [scheduler], [{ ...nightly, cron: '0 4 * * *' }]],
    ['another time zone', [scheduler], [{ ...nightly, timeZone: 'UTC' }]],
    ['another input', [scheduler], [{ ...nightly, input: 'gs://in-put/x.csv' }]],
    ['a job of another name', [{ ...scheduler, name: 'other' }], [nightly]],
  ])('%s is set', (_, schedulers, schedules) => {
    expect(compareSchedules(schedulers, schedules)).toEqual({ upsert: schedules, remove: [] });
  });

  test('that are in the spec no more are removed', () => {
    expect(compareSchedules([scheduler, { ...scheduler, key: 'old' }], [nightly])).toEqual({
      upsert: [],
      remove: ['old'],
    });
  });
});

describe('{{date}}', () => {
  const beforeMidnightInUtc = new Date('2025-03-01T23:30:00.000Z');

  test.each([
    ['gs://in-put/{{date}}.csv', 'UTC', 'gs://in-put/2025-03-01.csv'],
    ['gs://in-put/{{date}}.csv', 'Europe/Berlin', 'gs://in-put/2025-03-02.csv'],
    ['gs://in-put/{{date}}.csv', 'America/New_York', 'gs://in-put/2025-03-01.csv'],
    ['gs://in-put/{{date}}/{{date}}.csv', 'UTC', 'gs://in-put/2025-03-01/2025-03-01.csv'],
    ['gs://in-put/today.csv', 'UTC', 'gs://in-put/today.csv'],
    ['gs://in-put/{{time}}.csv', 'UTC', 'gs://in-put/{{time}}.csv'],
  ])('%s in %s is %s', (input, timeZone, expanded) => {
    expect(expandInput(input, beforeMidnightInUtc, timeZone)).toBe(expanded);
  });
});

test('a job that is taken late is of the moment it was due at', () => {
  expect(dueTime({ id: 'repeat:nightly:1740794400000', timestamp: 5 })).toEqual(new Date(1_740_794_400_000));
  expect(dueTime({ id: '7', timestamp: 1_740_794_400_000 })).toEqual(new Date(1_740_794_400_000));
});
