import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readManifests } from '@riskmodel/core/riskmodel/manifest-files.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { runningIn, until } from '../src/testing/processes.ts';

// npm, a shell, Node, server, queue-worker and Redis, all of them real.
jest.setTimeout(180_000);

const root = fileURLToPath(new URL('../..', import.meta.url));
const example = join(root, 'examples', 'credit-default');

let folder: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'riskmodel-test-')));
});

afterEach(async () => {
  // What is left when a test fails; by number, so that nothing else is hit.
  for (const { pid } of runningIn(folder)) process.kill(pid, 'SIGKILL');
  await until(() => runningIn(folder).length === 0);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Starts a command of npm in the checkout and waits until the system is ready. */
async function start(command: string, args: string[]): Promise<ChildProcess> {
  child = spawn(command, [...args, '--data', join(folder, 'data'), '--port', '0'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
    // As in a terminal, so that nothing but the signal reaches anybody.
    detached: true,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (printed += String(text)));
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`it ended: ${printed}`)));
  await Promise.race([ended, until(() => printed.includes('Ctrl-C stops it'), 90_000)]);
  ended.catch(() => {});
  return child;
}

async function npxUp(): Promise<ChildProcess> {
  const [model] = (await readManifests([join(example, 'riskmodel.yaml')])) as [RiskModel];
  model.spec.artifact.uri = pathToFileURL(join(example, 'model.onnx')).href;
  const manifest = join(folder, 'riskmodel.json');
  await writeFile(manifest, JSON.stringify(model));
  return start('npx', ['riskmodel', 'up', '-f', manifest]);
}

const npmStart = (): Promise<ChildProcess> => start('npm', ['start', '--']);

test.each([
  { name: 'npx riskmodel up', run: npxUp, signal: 'SIGTERM' },
  { name: 'npx riskmodel up', run: npxUp, signal: 'SIGKILL' },
  { name: 'npm start', run: npmStart, signal: 'SIGTERM' },
  { name: 'npm start', run: npmStart, signal: 'SIGKILL' },
] as const)('$signal to the process of `$name` ends the whole system', async ({ run, signal }) => {
  const { pid } = await run();
  // npm, its shell, Node, server, queue-worker, Redis and its shell
  expect(runningIn(folder).length).toBeGreaterThanOrEqual(6);
  process.kill(pid as number, signal);
  await until(() => runningIn(folder).length === 0, 60_000);
});
