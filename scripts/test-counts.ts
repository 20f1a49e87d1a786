export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of Jest's `--json` output that is counted. */
export interface JestResults {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: JestFile[];
}

export interface JestFile {
  /** Its path. */
  name: string;
  status: string;
  assertionResults: JestTest[];
}

export interface JestTest {
  status: string;
  fullName: string;
}

export const noCounts: TestCounts = { passed: 0, failed: 0, skipped: 0 };

export function addCounts(a: TestCounts, b: TestCounts): TestCounts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/**
 * What a run of Jest comes to. A file that failed without a test of it having failed (it could not be loaded, or broke
 * after its tests) counts as one failure, and so does a run that left no results or an error code without a failure.
 */
export function countsOf(results: JestResults | undefined, exitCode: number | null): TestCounts {
  if (results === undefined) return { ...noCounts, failed: 1 };
  const brokenFiles = results.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  ).length;
  const failed = results.numFailedTests + brokenFiles;
  return {
    passed: results.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}
