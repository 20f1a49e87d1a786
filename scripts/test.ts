// Runs every test: first the ones beside the sources, several at a time, then those of test/, which start whole
// systems and kill processes, one at a time (a whole run repeats the few files of those that failed). `--unit` runs only
// those that need nothing but Node; `--long` only those that take a quarter of an hour, which are left out otherwise. What
// else is given goes to Jest. The last line is `N passed, N failed`, with `, N skipped` when some were.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureRedis } from '../cli/src/local-redis.ts';
import { shutdownSignal } from '../cli/src/shutdown-signal.ts';
import { filesToRepeat, unsteadyTests, withRepeated } from './repeated-tests.ts';
import { addCounts, countsOf, noCounts, type JestResults, type TestCounts } from './test-counts.ts';

const root = join(import.meta.dirname, '..');
const systemTests = join(root, 'test');
const workers = Math.min(4, availableParallelism());
/** Tests wait for real programs, which are slow on a machine that does other things as well. */
const testTimeoutMs = 30_000;

const signal = shutdownSignal();

interface Run {
  /** Undefined when Jest left none. */
  results: JestResults | undefined;
  exitCode: number | null;
}

async function runJest(args: string[], env: NodeJS.ProcessEnv): Promise<TestCounts> {
  const { results, exitCode } = await startJest(args, env);
  return countsOf(results, exitCode);
}

/** The tests of whole systems; when all tests are run, with the few files that failed run once more. */
async function runSystemTests(args: string[], env: NodeJS.ProcessEnv): Promise<TestCounts> {
  const first = await startJest(['--roots', systemTests, '--runInBand', ...args], env);
  const files = args.length === 0 && !signal.aborted ? filesToRepeat(first.results) : [];
  if (first.results === undefined || files.length === 0) return countsOf(first.results, first.exitCode);
  console.error(`\nRunning what failed once more, with nothing beside it:\n${files.join('\n')}\n`);
  const second = await startJest(['--runTestsByPath', ...files, '--runInBand'], env);
  if (second.results === undefined) return countsOf(first.results, first.exitCode);
  for (const test of unsteadyTests(first.results, second.results)) {
    console.error(`passed only when it was run again, which is to be looked into: ${test}`);
  }
  return countsOf(withRepeated(first.results, second.results), second.exitCode);
}

async function startJest(args: string[], env: NodeJS.ProcessEnv): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'riskmodel-tests-'));
  const outputFile = join(folder, 'results.json');
  try {
    const child = spawn(
      process.execPath,
      [
        join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
        `--rootDir=${root}`,
        '--passWithNoTests',
        `--testTimeout=${testTimeoutMs}`,
        '--json',
        `--outputFile=${outputFile}`,
        ...args,
      ],
      // The JSON goes to the file as well as to standard output; people read standard error.
      { cwd: root, env, stdio: ['inherit', 'ignore', 'inherit'] },
    );
    signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
    const [exitCode] = (await once(child, 'exit')) as [number | null];
    const results = existsSync(outputFile)
      ? (JSON.parse(await readFile(outputFile, 'utf8')) as JestResults)
      : undefined;
    return { results, exitCode };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What to ignore beyond jest.config.mjs; the option replaces the configuration's list, so it has that one too. */
async function ignoring(...patterns: string[]): Promise<string[]> {
  const config = (await import(pathToFileURL(join(root, 'jest.config.mjs')).href)) as {
    default: { testPathIgnorePatterns: string[] };
  };
  const all = [...config.default.testPathIgnorePatterns, ...patterns];
  return all.map((pattern) => `--testPathIgnorePatterns=${pattern}`);
}

/** Jest's arguments for the tests that are left out otherwise: all of them, or those whose names are given. */
function longTests(args: string[]): string[] {
  const rest = args.filter((arg) => arg !== '--long');
  const names = rest.filter((arg) => !arg.startsWith('-'));
  const patterns = (names.length === 0 ? [''] : names).map((name) => `${name}.*\\.long\\.test\\.ts$`);
  return [
    '--roots',
    systemTests,
    '--testPathIgnorePatterns=/node_modules/',
    ...patterns.map((pattern) => `--testPathPatterns=${pattern}`),
    ...rest.filter((arg) => arg.startsWith('-')),
    '--runInBand',
  ];
}

async function runTests(args: string[]): Promise<TestCounts> {
  const env = {
    ...process.env,
    NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`,
    // Google's libraries look for a metadata server, which no machine outside of its cloud has.
    METADATA_SERVER_DETECTION: 'none',
  };
  // The last option takes one value: what follows one that takes several would be taken for more of them.
  const besideSources = [...(await ignoring('<rootDir>/test/')), `--maxWorkers=${workers}`];
  if (args.includes('--unit')) {
    const rest = args.filter((arg) => arg !== '--unit');
    return runJest(['--testPathIgnorePatterns=\\.component\\.test\\.ts$', ...besideSources, ...rest], env);
  }
  const redis = await ensureRedis({ env: process.env, log: (line) => console.error(line) });
  try {
    const withRedis = { ...env, REDIS_URL: redis.url };
    if (args.includes('--long')) return await runJest(longTests(args), withRedis);
    const counts = await runJest([...besideSources, ...args], withRedis);
    if (signal.aborted || !existsSync(systemTests)) return counts;
    return addCounts(counts, await runSystemTests(args, withRedis));
  } finally {
    await redis.stop();
  }
}

let counts: TestCounts = noCounts;
try {
  counts = await runTests(process.argv.slice(2));
  if (counts.passed + counts.failed + counts.skipped === 0) console.error('riskmodel: no test was run');
} catch (error) {
  console.error(`riskmodel: ${error instanceof Error ? error.message : String(error)}`);
  counts = addCounts(counts, { ...noCounts, failed: 1 });
}
const { passed, failed, skipped } = counts;
process.exitCode = failed === 0 && passed > 0 && !signal.aborted ? 0 : 1;
console.log(`${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`);
