import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockDataDir } from './data-dir-lock.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-test-'));
});

afterEach(() => rm(folder, { recursive: true }));

test('a folder in use is refused, naming the process and what to do', async () => {
  await lockDataDir(folder);
  await expect(lockDataDir(folder)).rejects.toThrow(
    `the data folder ${folder} is in use by another riskmodel (process ${process.pid}): stop that one, or give this one another folder with --data`,
  );
});

test('a folder that was given up can be had again, and no file is left', async () => {
  await (
    await lockDataDir(folder)
  )();
  await (
    await lockDataDir(folder)
  )();
  expect(await readdir(folder)).toEqual([]);
});

test.each([
  ['of a process that has gone', JSON.stringify({ pid: 2 ** 22 + 1, startTime: '1' })],
  ['of an earlier process with the id of one that runs', JSON.stringify({ pid: process.pid, startTime: '1' })],
  ['that was cut off by a full disk', '{"pid":'],
])('a lock %s is taken over', async (_why, content) => {
  await writeFile(join(folder, 'up.lock'), content);
  const unlock = await lockDataDir(folder);
  await expect(lockDataDir(folder)).rejects.toThrow('is in use');
  await unlock();
});
