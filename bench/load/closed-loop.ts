import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The core that the load has to itself. */
export const loadCore = 1;

/** What came of a load: rates in requests a second, times in milliseconds. */
export interface LoadResult {
  rate: number;
  p50: number;
  p99: number;
  p999: number;
}

export interface LoadOptions {
  /** Such as http://127.0.0.1:8080/risk-online-prediction */
  url: string;
  connections: number;
  seconds: number;
  /** A file of lines: a body, a tab, the probabilities that are expected for it. */
  callsFile: string;
  /** Whether the probabilities are expected to the last bit, or to the fifth digit. */
  isExact: boolean;
  /** The core that the load has to itself. */
  core: number;
}

/**
 * A closed loop: each connection sends its next request when it has the answer to the last (wrk, one thread). Every
 * answer is compared with what is expected.
 *
 * @throws Error when an answer was wrong or a request failed: a figure of such a run would mean nothing
 */
export async function closedLoop({
  url,
  connections,
  seconds,
  callsFile,
  isExact,
  core,
}: LoadOptions): Promise<LoadResult> {
  const { origin, pathname } = new URL(url);
  const script = join(import.meta.dirname, 'predict.lua');
  const args = ['-c', String(core), 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout=30s', '-s', script];
  const env = { ...process.env, BENCH_ROWS: callsFile, BENCH_PATH: pathname, BENCH_EXACT: isExact ? '1' : '0' };
  const { stdout } = await promisify(execFile)('taskset', [...args, origin], { env });
  const line = /^BENCH (.*)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result:\n${stdout}`);
  const counts = JSON.parse(line) as Record<
    'requests' | 'micros' | 'wrong' | 'errors' | 'p50' | 'p99' | 'p999',
    number
  >;
  const { requests, micros, wrong, errors, p50, p99, p999 } = counts;
  if (wrong > 0 || errors > 0) throw new Error(`${url}: ${wrong} wrong answers and ${errors} errors of ${requests}`);
  return { rate: requests / (micros / 1e6), p50: p50 / 1e3, p99: p99 / 1e3, p999: p999 / 1e3 };
}
