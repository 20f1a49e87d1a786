import { describe, expect, test } from '@jest/globals';
import { filesToRepeat, unsteadyTests, withRepeated } from './repeated-tests.ts';
import { countsOf, type JestFile, type JestResults } from './test-counts.ts';

/** Each file with the outcomes of its tests, which are named by their place. */
function results(files: Record<string, string[]>): JestResults {
  const testResults = Object.entries(files).map(([name, statuses]): JestFile => {
    const assertionResults = statuses.map((status, index) => ({ status, fullName: `test ${index}` }));
    return { name, status: statuses.every((each) => each !== 'failed') ? 'passed' : 'failed', assertionResults };
  });
  const count = (wanted: string): number =>
    Object.values(files)
      .flat()
      .filter((status) => status === wanted).length;
  const [numPassedTests, numFailedTests] = [count('passed'), count('failed')];
  return {
    numPassedTests,
    numFailedTests,
    numPendingTests: count('pending'),
    numTodoTests: count('todo'),
    testResults,
  };
}

describe('files to run again', () => {
  test.each<[why: string, results: JestResults | undefined, files: string[]]>([
    ['none when all passed', results({ a: ['passed'] }), []],
    ['those that failed', results({ a: ['passed'], b: ['failed', 'passed'] }), ['b']],
    [
      'none when so many failed that the run is broken',
      results({ a: ['failed'], b: ['failed'], c: ['failed'], d: ['failed'] }),
      [],
    ],
    ['none when there are no results', undefined, []],
  ])('%s', (_why, results, files) => expect(filesToRepeat(results)).toEqual(files));
});

describe('the second run of a file counts in place of the first', () => {
  const first = results({ a: ['passed', 'pending'], b: ['failed', 'passed', 'failed'], c: ['todo'] });

  test('when it passes', () => {
    const repeated = results({ b: ['passed', 'passed', 'passed'] });
    expect(countsOf(withRepeated(first, repeated), 0)).toEqual({ passed: 4, failed: 0, skipped: 2 });
    expect(unsteadyTests(first, repeated)).toEqual(['b: test 0', 'b: test 2']);
  });

  test('when it fails, be it in another test', () => {
    const repeated = results({ b: ['passed', 'failed', 'failed'] });
    expect(countsOf(withRepeated(first, repeated), 1)).toEqual({ passed: 2, failed: 2, skipped: 2 });
    expect(unsteadyTests(first, repeated)).toEqual(['b: test 0']);
  });
});
