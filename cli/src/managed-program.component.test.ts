import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManagedProgram } from './managed-program.ts';

// Programs start in each test.
jest.setTimeout(90_000);

let folder: string;
let program: ManagedProgram | undefined;
let told: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-test-'));
  told = [];
});

afterEach(async () => {
  await program?.stop(1_000);
  await rm(folder, { recursive: true });
});

function log(line: string): void {
  told.push(line);
}

/** A program of this source, whose log is the file `log`. */
async function makeProgram(source: string): Promise<ManagedProgram> {
  const file = join(folder, 'program.mjs');
  await writeFile(file, source);
  const logFile = join(folder, 'log');
  program = new ManagedProgram({ name: 'worker', file, env: { PATH: process.env['PATH'] }, logFile, log });
  return program;
}

async function untilLogged(text: string): Promise<void> {
  for (let tries = 0; tries < 1_600; tries++) {
    if ((await readFile(join(folder, 'log'), 'utf8').catch(() => '')).includes(text)) return;
    await sleep(25);
  }
  throw new Error(`"${text}" was not logged`);
}

test('one that ends at its start has failed, with the last lines of its log', async () => {
  const program = await makeProgram(`
    console.log(JSON.stringify({ severity: 'ERROR', message: 'cannot start', err: { message: 'REDIS_URL is not set' } }));
    console.error('that was all');
    process.exitCode = 3;`);
  program.start();
  expect((await program.failed).message).toBe(
    `the worker ended at its start (exit code 3); its log is ${join(folder, 'log')}\ncannot start: REDIS_URL is not set\nthat was all`,
  );
});

test('one that is kept running is started again when it is killed', async () => {
  const program = await makeProgram(`console.log('pid=' + process.pid); setInterval(() => {}, 1000);`);
  program.start();
  await untilLogged('pid=');
  program.keepRunning();
  const [, pid] = /pid=(\d+)/.exec(await readFile(join(folder, 'log'), 'utf8')) ?? [];
  process.kill(Number(pid), 'SIGKILL');
  await untilLogged(`pid=${pid}\npid=`);
  expect(told).toEqual([
    `the worker ended unexpectedly (SIGKILL); starting it again in 0.5 s; its log is ${join(folder, 'log')}`,
  ]);
});

test('one that is asked to stop may finish, and is not started again', async () => {
  const program = await makeProgram(`
    process.on('SIGTERM', () => setTimeout(() => { console.log('finished'); process.exit(); }, 50));
    console.log('ready');
    setInterval(() => {}, 1000);`);
  program.start();
  await untilLogged('ready');
  program.keepRunning();
  await program.stop(30_000);
  expect(await readFile(join(folder, 'log'), 'utf8')).toBe('ready\nfinished\n');
  expect(told).toEqual([]);
});

test('one that does not stop in time is killed', async () => {
  const program = await makeProgram(`
    process.on('SIGTERM', () => {});
    console.log('ready');
    setInterval(() => {}, 1000);`);
  program.start();
  await untilLogged('ready');
  // It would go on for ever otherwise.
  await program.stop(100);
});
