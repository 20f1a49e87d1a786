import { describe, expect, test } from '@jest/globals';
import { addCounts, countsOf, type JestResults, type JestTest, type TestCounts } from './test-counts.ts';

function results(changes: Partial<JestResults> = {}): JestResults {
  return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [], ...changes };
}

const [passed, failed] = ['passed', 'failed'].map((status) => ({ status, fullName: status })) as [JestTest, JestTest];
const failedTest = { name: 'a', status: 'failed', assertionResults: [passed, failed] };
const brokenFile = { name: 'b', status: 'failed', assertionResults: [passed] };

describe('what a run comes to', () => {
  const cases: [why: string, results: JestResults | undefined, exitCode: number | null, counts: TestCounts][] = [
    ['all passed', results({ numPassedTests: 3 }), 0, { passed: 3, failed: 0, skipped: 0 }],
    ['nothing to run', results(), 0, { passed: 0, failed: 0, skipped: 0 }],
    [
      'skipped and still to do',
      results({ numPassedTests: 3, numPendingTests: 2, numTodoTests: 1 }),
      0,
      { passed: 3, failed: 0, skipped: 3 },
    ],
    [
      'a failed test counts once, not once more for its file',
      results({ numPassedTests: 1, numFailedTests: 1, testResults: [failedTest] }),
      1,
      { passed: 1, failed: 1, skipped: 0 },
    ],
    [
      'a file that could not be run counts',
      results({ numPassedTests: 2, testResults: [brokenFile, { name: 'c', status: 'failed', assertionResults: [] }] }),
      1,
      { passed: 2, failed: 2, skipped: 0 },
    ],
    ['Jest itself failed', results({ numPassedTests: 2 }), 1, { passed: 2, failed: 1, skipped: 0 }],
    ['Jest was killed', undefined, null, { passed: 0, failed: 1, skipped: 0 }],
  ];
  test.each(cases)('%s', (_why, results, exitCode, counts) => expect(countsOf(results, exitCode)).toEqual(counts));
});

test('two runs add up', () => {
  expect(addCounts({ passed: 1, failed: 2, skipped: 3 }, { passed: 10, failed: 20, skipped: 30 })).toEqual({
    passed: 11,
    failed: 22,
    skipped: 33,
  });
});
