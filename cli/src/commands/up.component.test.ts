import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { exec, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { readManifests } from '@riskmodel/core/riskmodel/manifest-files.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { runningIn, until } from '../testing/processes.ts';

// Server, queue-worker and Redis start and stop for real.
jest.setTimeout(180_000);

const root = fileURLToPath(new URL('../../..', import.meta.url));
const bin = fileURLToPath(new URL('../../bin/riskmodel.mjs', import.meta.url));
const example = fileURLToPath(new URL('../../../examples/credit-default/', import.meta.url));

/** What the example's manifest asks of a cluster. */
const unused = 'not used on one machine: online.resources, batch.resources\n';

interface Up {
  child: ChildProcess;
  printed: { stdout: string; stderr: string };
  exited: Promise<[code: number | null]>;
}

let folder: string;
let manifest: string;
const started: ChildProcess[] = [];

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'riskmodel-test-')));
  manifest = join(folder, 'riskmodel.json');
  await writeManifest(pathToFileURL(join(example, 'model.onnx')).href);
});

afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  // Programs that end with their parent write their last lines first.
  for (let tries = 0; tries < 600 && runningIn(folder).length > 0; tries++) await sleep(50);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** The example's manifest with its artifact elsewhere, as JSON. */
async function writeManifest(uri: string): Promise<void> {
  const [model] = (await readManifests([join(example, 'riskmodel.yaml')])) as [RiskModel];
  model.spec.artifact.uri = uri;
  await writeFile(manifest, JSON.stringify(model));
}

/** `riskmodel up` that prints JSON. */
function up(...args: string[]): Up {
  return upForPeople('-o', 'json', ...args);
}

function upForPeople(...args: string[]): Up {
  const child = spawn(
    process.execPath,
    [bin, 'up', '-f', manifest, '--data', join(folder, 'data'), '--port', '0', ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] } },
  );
  started.push(child);
  const printed = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => (printed.stdout += String(text)));
  child.stderr.on('data', (text) => (printed.stderr += String(text)));
  return { child, printed, exited: once(child, 'close') as Promise<[number | null]> };
}

/** Runs a command of the checkout as a person would; what it prints. */
async function runInShell(command: string): Promise<string> {
  const { stdout } = await promisify(exec)(command, { cwd: root, env: { PATH: process.env['PATH'] } });
  return stdout;
}

/** What it said, but for how long the start takes, which it tells every few seconds on a busy machine. */
function told({ printed }: Up): string {
  return printed.stderr.replaceAll(/^Not ready yet: .*\n/gm, '');
}

/** What ends with it is given a moment: a shell that waits for nobody any more may outlast it. */
async function expectNothingIsLeft(): Promise<void> {
  await until(() => runningIn(folder).length === 0);
}

/** Waits until it is ready and returns the server's address. */
async function ready({ printed, exited }: Up): Promise<string> {
  const ended = exited.then(() => Promise.reject(new Error(`it ended: ${printed.stderr}`)));
  const printedAnswer = (async () => {
    while (!printed.stdout.endsWith('}\n')) await sleep(20);
    return (JSON.parse(printed.stdout) as { url: string }).url;
  })();
  return Promise.race([ended, printedAnswer]);
}

function findWorker(): number | undefined {
  return runningIn(folder).find(({ command }) => command.includes('queue-worker/src/main.ts'))?.pid;
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/readyz`).then(
    (response) => response.ok,
    () => false,
  );
}

test('serves the manifest until SIGINT, then stops everything in order and exits 0', async () => {
  const system = up();
  const url = await ready(system);
  expect(await isReady(url)).toBe(true);
  expect(JSON.parse(system.printed.stdout)).toEqual({
    url,
    dataDir: join(folder, 'data'),
    models: ['credit-default'],
  });
  system.child.kill('SIGINT');
  expect(await system.exited).toEqual([0, null]);
  expect(told(system)).toBe(`${unused}Stopping ...\n`);
  await expectNothingIsLeft();
  expect((await readdir(join(folder, 'data'))).toSorted()).toEqual([
    'buckets',
    'compile-cache',
    'logs',
    'redis',
    'warehouse',
  ]);
});

test('every command that it suggests works as it is printed', async () => {
  const { printed } = upForPeople();
  await until(() => printed.stdout.includes('Ctrl-C stops it'), 90_000);
  const commands = printed.stdout.split('\n').filter((line) => line.startsWith('  npx riskmodel '));
  expect(commands).toHaveLength(2);
  const outputs = await Promise.all(commands.map(runInShell));
  expect(outputs).toEqual([
    expect.stringMatching(/^ *prob_0 +prob_1\n *0\.\d+ +0\.\d+\n$/),
    expect.stringContaining('rows      1 of 1 scored\nrejected  0 rows\n'),
  ]);
});

test('it stops in order also when nobody reads its messages any longer', async () => {
  const system = up();
  await ready(system);
  system.child.stderr?.destroy();
  system.child.kill('SIGTERM');
  expect(await system.exited).toEqual([0, null]);
  await expectNothingIsLeft();
});

test('a second one on the same data folder is refused, and the first goes on', async () => {
  const first = up();
  const url = await ready(first);
  const second = up();
  expect(await second.exited).toEqual([1, null]);
  expect(second.printed.stderr).toBe(
    `riskmodel: the data folder ${join(folder, 'data')} is in use by another riskmodel (process ${first.child.pid}): stop that one, or give this one another folder with --data\n`,
  );
  expect(await isReady(url)).toBe(true);
});

test('killed with SIGKILL it leaves no process behind, and can be started again', async () => {
  const first = up();
  await ready(first);
  expect(runningIn(folder).length).toBeGreaterThanOrEqual(4);
  first.child.kill('SIGKILL');
  await until(() => runningIn(folder).length === 0);
  await ready(up());
});

test('a queue-worker that is killed is started again', async () => {
  const system = up();
  await ready(system);
  const killed = findWorker() as number;
  process.kill(killed, 'SIGKILL');
  await until(() => ![undefined, killed].includes(findWorker()));
  expect(system.printed.stderr).toContain('the queue-worker ended unexpectedly (SIGKILL); starting it again in 0.5 s');
});

test('when its Redis is killed it says so, then stops the rest and exits 1', async () => {
  const system = up();
  await ready(system);
  const redis = runningIn(folder).find(({ command }) => /(redis|valkey)-server 127/.test(command)) as { pid: number };
  process.kill(redis.pid, 'SIGKILL');
  await until(() => system.printed.stderr.includes('Stopping ...\n'));
  const printed = told(system);
  expect(printed.replace(unused, '')).toMatch(/^riskmodel: Redis ended unexpectedly .*redis\.log\nStopping \.\.\.\n$/);
  expect(await system.exited).toEqual([1, null]);
  expect(told(system)).toBe(printed);
  await expectNothingIsLeft();
});

test('a port in use is refused before anything is started', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const system = up('--port', String(port));
  expect(await system.exited).toEqual([1, null]);
  other.close();
  expect(system.printed).toEqual({
    stdout: '',
    stderr: `riskmodel: port ${port} is in use: stop what listens there, or choose another with --port\n`,
  });
});

test('a model file that is not in its bucket is named with the path where it belongs', async () => {
  await writeManifest('gs://risk-models/v1/model.onnx');
  const system = up();
  expect(await system.exited).toEqual([1, null]);
  expect(system.printed.stderr).toBe(
    `riskmodel: credit-default: spec.artifact.uri: gs://risk-models/v1/model.onnx does not exist: put the model file at ${join(folder, 'data/buckets/risk-models/v1/model.onnx')}\n`,
  );
});

test('a model file that is none ends it with the words of the server, and nothing goes on running', async () => {
  await writeFile(join(folder, 'not-a-model.onnx'), 'nonsense');
  await writeManifest('./not-a-model.onnx');
  const system = up();
  expect(await system.exited).toEqual([1, null]);
  const lines = told(system).trim().split('\n');
  expect(lines[0]).toMatch(/^riskmodel: the server ended at its start \(exit code 1\); its log is .*server\.log$/);
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect(line).toMatch(/^riskmodel: /);
  await expectNothingIsLeft();
});
