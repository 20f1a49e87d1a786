import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureRedis } from '../../cli/src/local-redis.ts';
import { closedLoop, loadCore, type LoadOptions, type LoadResult } from '../load/closed-loop.ts';
import { openLoop } from '../load/open-loop.ts';
import { median, spreadOf, type Spread } from '../median.ts';
import { peerPython, peers } from '../peers/peers.ts';
import { prepareWorkbench, type Workbench } from '../workbench.ts';
import { callLines, type CallName } from './calls.ts';
import { contenders, run, theFloor, type Contender, type Running } from './contenders.ts';

/** Until then Node compiles what is called most, on the core of the server. */
const warmUpSeconds = 8;

export interface OnlineOptions {
  connections: readonly number[];
  calls: readonly CallName[];
  /** Measures the servers of the Python world as well. */
  withPeers: boolean;
  /** Measures only those with one of these in their names; all, when there are none. */
  only: readonly string[];
  trees: number;
  depth: number;
  /** Turns that the floor and a contender take under each load. */
  rounds: number;
  /** Of each turn. */
  seconds: number;
  log: (line: string) => void;
}

/** A contender's medians under one load, with the smallest and largest rate of the rounds. */
export interface OnlineRow extends LoadResult, Spread {
  name: string;
  call: CallName;
  /** Of a closed loop. */
  connections?: number;
  /** Of an open loop: requests a second that were to be sent. */
  offered?: number;
  /** Medians of what each round's figures are of the floor's in the same round. */
  ofFloor: LoadResult;
}

/**
 * Measures the contenders beside the floor: one server at a time on one core, the load on the other. In each round the
 * floor has its turn just before the contender, so that their ratio holds on a machine whose speed changes by the minute.
 */
export async function benchOnline(options: OnlineOptions): Promise<OnlineRow[]> {
  const { withPeers, only, trees, depth, log } = options;
  const folder = await mkdtemp(join(tmpdir(), 'riskmodel-bench-'));
  const redis = await ensureRedis({ env: process.env, log });
  try {
    const train = withPeers ? { python: await peerPython('fastapi'), trees, depth } : undefined;
    const bench = await prepareWorkbench({ folder, redisUrl: redis.url, ...(train && { train }) });
    const isWanted = (name: string): boolean => only.length === 0 || only.some((part) => name.includes(part));
    const own = contenders(bench).filter(({ name }) => isWanted(name));
    const measured = [...own, ...(withPeers ? await peers(bench, isWanted) : [])];
    const reference = theFloor(bench);
    const floor = await run(reference, bench);
    try {
      for (const call of options.calls) await warmUp(await loadOf(reference, floor, call, bench));
      const rows: OnlineRow[] = [];
      for (const contender of measured) rows.push(...(await measure(contender, floor, bench, options)));
      return rows;
    } finally {
      await floor.stop();
    }
  } finally {
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

type Load = Omit<LoadOptions, 'connections' | 'seconds'>;

async function measure(
  contender: Contender,
  floor: Running,
  bench: Workbench,
  { calls, connections, rounds, seconds, log }: OnlineOptions,
): Promise<OnlineRow[]> {
  const { name } = contender;
  const server = await run(contender, bench);
  const rows: OnlineRow[] = [];
  try {
    for (const call of calls.filter((one) => contender.calls[one] !== undefined)) {
      const load = await loadOf(contender, server, call, bench);
      const floorLoad = await loadOf(theFloor(bench), floor, call, bench);
      await warmUp(load);
      let best = 0;
      for (const count of connections) {
        const closed = { connections: count, seconds };
        const result = await inTurns(rounds, [floorLoad, load], (each) => closedLoop({ ...each, ...closed }));
        const row = { name, call, connections: count, ...result };
        rows.push(row);
        best = Math.max(best, row.rate);
        log(
          `${name}, ${call}, ${count} connections: ${Math.round(row.rate)}/s, ${row.ofFloor.rate.toFixed(2)} of the floor`,
        );
      }
      const offered = Math.round(best / 2);
      const open = { rate: offered, seconds: 2 * seconds };
      const result = await inTurns(rounds, [floorLoad, load], (each) => openLoop({ ...each, ...open }));
      rows.push({ name, call, offered, ...result });
    }
  } finally {
    await server.stop();
  }
  return rows;
}

async function loadOf(contender: Contender, server: Running, call: CallName, bench: Workbench): Promise<Load> {
  const { calls, isExact, output } = contender;
  const callsFile = join(bench.dataDir, output === undefined ? `${call}.tsv` : `${call}-${output}.tsv`);
  await writeFile(callsFile, callLines(bench, call, output));
  return { url: `${server.url}${calls[call]}`, callsFile, isExact, core: loadCore };
}

/** What is compiled on the way is no part of what is measured. */
async function warmUp(load: Load): Promise<void> {
  await closedLoop({ ...load, connections: 64, seconds: warmUpSeconds });
}

/** Medians of what a contender does, each time just after the floor. */
async function inTurns(
  rounds: number,
  [floorLoad, load]: [floor: Load, own: Load],
  measureOne: (load: Load) => Promise<LoadResult>,
): Promise<LoadResult & Spread & Pick<OnlineRow, 'ofFloor'>> {
  const pairs: [floor: LoadResult, own: LoadResult][] = [];
  for (let round = 1; round <= rounds; round++) pairs.push([await measureOne(floorLoad), await measureOne(load)]);
  const own = (field: keyof LoadResult): number[] => pairs.map(([, result]) => result[field]);
  const ratio = (field: keyof LoadResult): number => median(pairs.map(([of, result]) => result[field] / of[field]));
  return {
    ...spreadOf(own('rate')),
    p50: median(own('p50')),
    p99: median(own('p99')),
    p999: median(own('p999')),
    ofFloor: { rate: ratio('rate'), p50: ratio('p50'), p99: ratio('p99'), p999: ratio('p999') },
  };
}
