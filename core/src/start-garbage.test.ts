import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { collectStartGarbage, type StartGarbageDeps } from './start-garbage.ts';

/** How busy each second is, from the first on; the last one's goes on. */
function start(...busy: number[]): { collections: () => number } {
  let second = 0;
  const collect = jest.fn();
  const utilization: StartGarbageDeps['utilization'] = (earlier) => {
    const value = earlier === undefined ? 1 : (busy[Math.min(second++, busy.length - 1)] as number);
    return { idle: 0, active: 0, utilization: value };
  };
  collectStartGarbage({ collect, utilization });
  return { collections: () => collect.mock.calls.length };
}

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test('collects after the first second with nothing to do, and not again', () => {
  const { collections } = start(0.4, 0.2, 0.01);
  jest.advanceTimersByTime(2_999);
  expect(collections()).toBe(0);
  jest.advanceTimersByTime(1);
  expect(collections()).toBe(1);
  jest.advanceTimersByTime(60_000);
  expect(collections()).toBe(1);
});

test('never holds up a program that has always something to do', () => {
  const { collections } = start(0.06);
  jest.advanceTimersByTime(60_000);
  expect(collections()).toBe(0);
});
