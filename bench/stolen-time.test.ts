import { expect, test } from '@jest/globals';
import { readCpuTimes, stolenSince } from './stolen-time.ts';

const stat = 'cpu  100 20 30 400 5 0 7 38 9 0\ncpu0 50 10 15 200 2 0 3 19 4 0\nintr 1\n';

test('counts all cores, and the time of guests once', () => {
  expect(readCpuTimes(stat)).toEqual({ all: 600, stolen: 38 });
});

test('tells the part of the time since then', () => {
  expect(stolenSince({ all: 100, stolen: 8 }, readCpuTimes(stat))).toBeCloseTo(30 / 500);
});
