import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { ensureBinaries } from '../../test/harness/cluster/binaries.ts';
import type { LoadOptions, LoadResult } from './closed-loop.ts';

export interface OpenLoopOptions extends Omit<LoadOptions, 'connections'> {
  /** Requests a second that are sent, whether or not those before are answered. */
  rate: number;
}

/** What comes first is not counted: all connections are opened at once then, as no clients of a running service do. */
const settleSeconds = 2;
/** Beyond so many requests under way one waits for another, or else a core has more connections to open than to use. */
const mostUnderWay = 256;

/**
 * An open loop: requests come at a fixed rate, as from clients that know nothing of each other, so that one that is late
 * makes those behind it late too, and all of them count (vegeta). Every answer is compared with what is expected.
 *
 * @returns the rate that was reached, and latencies of all requests but those of the first moment
 * @throws Error when an answer was wrong or a request failed: a figure of such a run would mean nothing
 */
export async function openLoop({ url, rate, seconds, callsFile, isExact, core }: OpenLoopOptions): Promise<LoadResult> {
  const { vegeta } = await ensureBinaries(['vegeta'], (line) => console.error(line));
  const calls = (await readFile(callsFile, 'utf8')).split('\n').map((line) => line.split('\t') as [string, string]);
  const targets = `${callsFile}.targets`;
  const results = `${callsFile}.results`;
  const rows = `${callsFile}.rows`;
  const header = { 'Content-Type': ['application/json'] };
  const target = ([body]: [string, string]): string =>
    JSON.stringify({ method: 'POST', url, header, body: Buffer.from(body).toString('base64') });
  await writeFile(targets, calls.map(target).join('\n'));
  const attack = [
    '-format=json',
    `-targets=${targets}`,
    `-output=${results}`,
    `-rate=${Math.round(rate)}/1s`,
    `-duration=${seconds + settleSeconds}s`,
    `-max-workers=${mostUnderWay}`,
    `-connections=${mostUnderWay}`,
  ];
  const env = { ...process.env, GOMAXPROCS: '1', GOGC: '800' };
  await promisify(execFile)('taskset', ['-c', String(core), vegeta, 'attack', ...attack], { env });
  await promisify(execFile)(vegeta, ['encode', '-to=csv', `-output=${rows}`, results]);
  try {
    return await summarise(rows, url, new Answers(calls, isExact));
  } finally {
    await Promise.all([targets, results, rows].map((file) => rm(file, { force: true })));
  }
}

/** The answers that are expected, of whichever call. */
class Answers {
  readonly #exact: ReadonlySet<string>;
  readonly #close: ReadonlySet<number>;
  readonly #isExact: boolean;

  constructor(calls: readonly [body: string, expected: string][], isExact: boolean) {
    this.#isExact = isExact;
    this.#exact = new Set(calls.map(([, expected]) => expected));
    this.#close = new Set(calls.map(([, expected]) => rounded(expected)));
  }

  areExpected(body: string): boolean {
    const numbers = probabilitiesIn(body);
    if (numbers === undefined) return false;
    if (this.#isExact) return this.#exact.has(numbers);
    const key = rounded(numbers);
    return [key, key - 1, key + 1].some((near) => this.#close.has(near));
  }
}

/** The probabilities of an answer, as it writes them: a plain list, or the data of a tensor. */
function probabilitiesIn(body: string): string | undefined {
  return (/"data":\s*\[([^\]]+)\]/.exec(body) ?? /^\[([^\]]+)\]/.exec(body))?.[1];
}

/** The last probability, in hundred thousandths. */
function rounded(numbers: string): number {
  return Math.round(Number(numbers.slice(numbers.lastIndexOf(',') + 1)) * 1e5);
}

async function summarise(file: string, url: string, answers: Answers): Promise<LoadResult> {
  const latencies: number[] = [];
  const wrong: string[] = [];
  let [first, last, count] = [Number.POSITIVE_INFINITY, 0, 0];
  for await (const line of createInterface({ input: createReadStream(file) })) {
    // Columns: https://github.com/tsenart/vegeta#encode-command
    const [sentAt = '', status, latency, , , error = '', body = ''] = line.split(',');
    const sent = Number(BigInt(sentAt) / 1_000n) / 1e6;
    first = Math.min(first, sent);
    last = Math.max(last, sent);
    count++;
    if (sent >= first + settleSeconds) latencies.push(Number(latency) / 1e6);
    const isRight = status === '200' && answers.areExpected(Buffer.from(body, 'base64').toString());
    if (!isRight) wrong.push(`status ${status} ${error}`);
  }
  if (wrong.length > 0) {
    throw new Error(`${url}: ${wrong.length} wrong answers or errors of ${count}, such as ${wrong[0]}`);
  }
  latencies.sort((a, b) => a - b);
  const percentile = (part: number): number => latencies[Math.ceil(part * latencies.length) - 1] ?? Number.NaN;
  return {
    rate: (count - 1) / (last - first),
    p50: percentile(0.5),
    p99: percentile(0.99),
    p999: percentile(0.999),
  };
}
