import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@riskmodel/core/free-port.ts';
import { isRunning, spawnProgram, stopChild } from '../../cli/src/lifeline.ts';
import type { Workbench } from '../workbench.ts';
import { callLines, type CallName } from './calls.ts';

const repository = join(import.meta.dirname, '..', '..');

/** The core that a server has to itself. */
const serverCore = 0;

/** A server that is measured. */
export interface Contender {
  name: string;
  /** Its command, Node when absent, and its environment for a port. */
  start: (port: number) => { command?: string; args: string[]; env?: NodeJS.ProcessEnv };
  /** The paths of the calls that it answers. */
  calls: Partial<Record<CallName, string>>;
  /** Whether its answers have the bits of the product's, or may differ in the sixth digit. */
  isExact: boolean;
  /** The output that it has to be asked for by name. */
  output?: string;
}

const allCalls = {
  record: '/risk-online-prediction',
  oip: '/v2/models/credit-default/infer',
  oip100: '/v2/models/credit-default/infer',
};

/** The product as it is shipped, then the floor: what Node, Express and the model cost without a service around them. */
export function contenders(bench: Workbench): Contender[] {
  const { applicants, dataDir, redisUrl } = bench;
  const product = (manifest: string): Contender['start'] => {
    const env = { HOST: '127.0.0.1', RISKMODEL_MANIFESTS: manifest, RISKMODEL_DATA: dataDir, REDIS_URL: redisUrl };
    return (port) => ({ args: [join(repository, 'server/src/main.ts')], env: { ...env, PORT: String(port) } });
  };
  const anAnswer = JSON.stringify(applicants[0]?.probabilities);
  return [
    {
      name: 'riskmodel server',
      start: product(bench.manifest),
      calls: allCalls,
      isExact: true,
    },
    {
      name: 'riskmodel server, answers from its cache',
      start: product(bench.cachingManifest),
      calls: { record: allCalls.record },
      isExact: true,
    },
    theFloor(bench),
    {
      name: 'bare Express, constant answer',
      start: (port) => ({ args: [join(import.meta.dirname, 'express-constant.ts'), anAnswer, String(port)] }),
      calls: { record: allCalls.record },
      isExact: true,
    },
  ];
}

/** What Node and the model cost with nothing around them. */
export function theFloor({ artifact, features }: Workbench): Contender {
  return {
    name: 'floor: node:http + onnxruntime',
    start: (port) => ({
      args: [join(import.meta.dirname, 'floor.ts'), artifact, JSON.stringify(features), String(port)],
    }),
    calls: allCalls,
    isExact: true,
  };
}

export interface Running {
  url: string;
  stop: () => Promise<void>;
}

/** Starts a contender on its core, and waits until it answers. */
export async function run({ name, start, calls, output }: Contender, bench: Workbench): Promise<Running> {
  const port = await freePort();
  const { command = process.execPath, args, env } = start(port);
  const { PATH, HOME } = process.env;
  const variables = { PATH, HOME, METADATA_SERVER_DETECTION: 'none', ...env };
  const settings = Object.entries(variables).map(([variable, value]) => `${variable}=${value}`);
  // Where a log goes costs the same whoever reads it. KServe writes lines about each request to its errors.
  const errors = join(bench.dataDir, 'contender.log');
  const quietly = ['sh', '-c', 'exec "$@" >/dev/null 2>"$0"', errors];
  const pinned = ['taskset', '-c', String(serverCore), command, ...args];
  const child = spawnProgram('env', ['-i', ...settings, ...quietly, ...pinned], { logFd: 2 });
  const url = `http://127.0.0.1:${port}`;
  const [first] = Object.entries(calls) as [CallName, string][];
  if (first === undefined) throw new Error(`${name} has no calls`);
  const [call, path] = first;
  const [body = ''] = callLines(bench, call, output).split('\t', 1);
  if (!(await answers(url + path, body, child))) {
    const lines = (await readFile(errors, 'utf8')).trimEnd().split('\n');
    throw new Error(`${name} does not answer:\n${lines.slice(-lastLines).join('\n')}`);
  }
  return { url, stop: () => stopChild(child, graceMs) };
}

/** Ray takes that long. */
const startMs = 120_000;
const graceMs = 10_000;
/** Of a contender's errors, when it does not start. */
const lastLines = 20;

/** Whether it does, in the end; if not, it was stopped. */
async function answers(url: string, body: string, child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + startMs;
  while (Date.now() < deadline && isRunning(child)) {
    const isReady = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body }).then(
      (answer) => answer.ok,
      () => false,
    );
    if (isReady) return true;
    await sleep(50);
  }
  await stopChild(child, graceMs);
  return false;
}
