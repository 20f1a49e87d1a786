// A test that starts a cluster, kills programs and shares the machine's cores with all of them may fail for want of time
// alone. So the few files that failed in a whole run are run once more, with nothing beside them; nothing is hidden by it:
// what failed at first has been printed, and is named again at the end.
import type { JestResults } from './test-counts.ts';

/** Beyond so many a run is broken rather than unlucky, and nothing of it is run again. */
const mostFilesToRepeat = 3;

/** The files that failed, when they are so few that running them once more can tell bad luck from a defect. */
export function filesToRepeat(results: JestResults | undefined): string[] {
  const failed = (results?.testResults ?? []).filter(({ status }) => status === 'failed').map(({ name }) => name);
  return failed.length > mostFilesToRepeat ? [] : failed;
}

/** What a run comes to in which some files were run again: for those, the second run counts. */
export function withRepeated(first: JestResults, repeated: JestResults): JestResults {
  const again = new Map(repeated.testResults.map((file) => [file.name, file]));
  const testResults = first.testResults.map((file) => again.get(file.name) ?? file);
  const statuses = testResults.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status));
  const count = (...wanted: string[]): number => statuses.filter((status) => wanted.includes(status)).length;
  return {
    numPassedTests: count('passed'),
    numFailedTests: count('failed'),
    numPendingTests: count('pending', 'skipped', 'disabled'),
    numTodoTests: count('todo'),
    testResults,
  };
}

/** Tests that failed at first and passed when they were run again. */
export function unsteadyTests(first: JestResults, repeated: JestResults): string[] {
  const passed = new Set(testsOf(repeated, 'passed'));
  return testsOf(first, 'failed').filter((test) => passed.has(test));
}

function testsOf({ testResults }: JestResults, wanted: string): string[] {
  return testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.filter(({ status }) => status === wanted).map(({ fullName }) => `${name}: ${fullName}`),
  );
}
