import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeTempFolder } from './temp-folder.ts';

let parent: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'temp-folder-test-'));
});

afterEach(() => rm(parent, { recursive: true, force: true }));

/** The number of a process that has ended. */
async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid as number;
}

test('folders of workers that have ended go, those of others stay', async () => {
  const ended = `riskmodel-worker-${await endedProcess()}-abc`;
  const alive = `riskmodel-worker-${process.ppid}-abc`;
  const earlier = `riskmodel-worker-${process.pid}-abc`;
  for (const name of [ended, alive, earlier, 'riskmodel-worker-x', 'something-else'])
    await mkdir(join(parent, name, 'job-1'), { recursive: true });
  const made = basename(await makeTempFolder(parent));
  expect((await readdir(parent)).toSorted()).toEqual([alive, made, 'riskmodel-worker-x', 'something-else'].toSorted());
});
