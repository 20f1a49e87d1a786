import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { exec, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runningIn, until } from '../cli/src/testing/processes.ts';

// Server, queue-worker and Redis start and stop for real.
jest.setTimeout(180_000);

const root = join(import.meta.dirname, '..');
const env = { PATH: process.env['PATH'] };

let folder: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'riskmodel-test-')));
});

afterEach(async () => {
  child?.kill('SIGKILL');
  await until(() => runningIn(folder).length === 0);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

test('every command that `npm start` suggests works as it is printed, with its own applicant and sample', async () => {
  const data = join(folder, 'my data');
  child = spawn(process.execPath, [join(root, 'scripts/start.ts'), '--data', data, '--port', '0'], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let printed = '';
  child.stdout?.on('data', (text) => (printed += String(text)));
  await until(() => printed.includes('Ctrl-C stops it'), 90_000);
  const commands = printed
    .split('\n')
    .filter((line) => line.startsWith('  npx riskmodel '))
    .map((line) => line.trim());
  expect(commands).toEqual([
    expect.stringContaining(` --file '${data}/applicant.json' `),
    expect.stringContaining(' --input gs://applications/sample.parquet '),
  ]);
  const outputs = await Promise.all(commands.map((command) => promisify(exec)(command, { cwd: root, env })));
  expect(outputs.map(({ stdout }) => stdout)).toEqual([
    expect.stringMatching(/^ *prob_0 +prob_1\n/),
    expect.stringContaining('rows      20,000 of 20,000 scored\n'),
  ]);
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});
