import type { Fate } from '../harness/faulty-proxy.ts';
import { callKinds, callsOfNewWorkers, type CallKind } from './google-cloud-calls.ts';
import { faults as steps, type Fault as Step } from './faulty-worker.ts';

/** What may go wrong with a call. */
export const faultKinds = ['reset', '503', '429', 'lost reply', 'slow body', 'truncated body'] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Formats of the input. Of the compressed one a plain copy is staged. */
export const inputNames = [
  'applicants.ndjson',
  'applicants.csv',
  'applicants.parquet',
  'applicants.ndjson.gz',
] as const;

/** Does something to the calls of a kind, counted from 0, from `from` on and so many times. */
export interface PlannedFault {
  call: CallKind;
  from: number;
  times: number;
  fault: FaultKind;
  fate: Fate;
}

/** Where the worker is killed with -9. */
export type PlannedKill =
  | { step: Step }
  /** At the nth call of a kind: before the server hears of it, or when it has acted. */
  | { call: CallKind; nth: number; when: 'before' | 'after' };

/** All that is decided about a run, by its seed. */
export interface RunPlan {
  seed: number;
  input: (typeof inputNames)[number];
  /** What the batch finds: no tables, those of other batches, or results that lack a column. */
  tables: 'none' | 'there' | 'narrow';
  faults: PlannedFault[];
  kill: PlannedKill | undefined;
  /** The worker has made no calls yet. */
  newWorker: boolean;
}

/** Of so many seeds one is a kill. */
const killEvery = 5;

/** How many calls of a kind a batch makes at least, of which a fault may choose. */
const callsOfABatch: Partial<Record<CallKind, number>> = {
  'storage: stat input': 4,
  'storage: read input': 3,
  'storage: upload': 5,
  'storage: delete': 5,
  'bigquery: get table': 3,
  'bigquery: create table': 3,
  'bigquery: insert job': 3,
  'bigquery: get job': 3,
};

/**
 * What is to happen in a run. The seeds together go through every kind of call with every kind of fault, and through
 * every step and every kind of call at which a worker can be killed; all else about a run is drawn by its seed.
 */
export function planOf(seed: number): RunPlan {
  const random = randomOf(seed);
  const draw = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const isKill = seed % killEvery === 0;
  const faults: PlannedFault[] = [];
  let kill: PlannedKill | undefined;
  if (isKill) kill = killOf(seed / killEvery, draw);
  else faults.push(...mainFaults(seed - Math.ceil(seed / killEvery), random));
  const newWorker = isKill || faults.some(({ call }) => callsOfNewWorkers.includes(call));
  const others = callKinds.filter((call) => newWorker || !callsOfNewWorkers.includes(call));
  for (let more = Math.floor(random() * 4); more > 0; more--) {
    faults.push(faultOf(draw(others), draw(faultKinds), random));
  }
  return { seed, ...needs(faults, kill, draw), faults, kill, newWorker };
}

function killOf(index: number, draw: <T>(of: readonly T[]) => T): PlannedKill {
  const calls = callKinds.filter((call) => call !== 'storage: stat staged');
  const points: PlannedKill[] = [
    ...steps.map((step) => ({ step })),
    ...calls.flatMap((call) =>
      (['before', 'after'] as const).map((when) => ({ call, nth: draw(range(callsOfABatch[call] ?? 1)), when })),
    ),
  ];
  return points[index % points.length] as PlannedKill;
}

/** The pair of a call and a fault whose turn it is. Those that take a new worker, which are slow, come once in four rounds. */
function mainFaults(index: number, random: () => number): PlannedFault[] {
  const common = callKinds.filter((call) => !callsOfNewWorkers.includes(call));
  const rounds = [...callsOfNewWorkers, ...Array.from({ length: 4 }, () => common).flat()];
  const pairs = rounds.flatMap((call) => faultKinds.map((fault) => ({ call, fault })));
  const { call, fault } = pairs[index % pairs.length] as { call: CallKind; fault: FaultKind };
  const main = faultOf(call, fault, random);
  if (call !== 'storage: stat staged') return [main];
  // Asked only of an upload that finds its object there, as after a lost reply; or of a copy that was staged.
  return [
    { ...main, from: 0 },
    { ...faultOf('storage: upload', 'lost reply', random), times: 1 },
  ];
}

function faultOf(call: CallKind, fault: FaultKind, random: () => number): PlannedFault {
  const from = Math.floor(random() * (callsOfABatch[call] ?? 1));
  // Mostly once or a few times; now and then for good, so that the batch can't go on.
  const share = random();
  const times = share < 0.7 ? 1 : share < 0.93 ? 2 + Math.floor(random() * 5) : Infinity;
  const fate = fateOf(fault, random);
  // A read that gets a few bytes each time would go on for as long as there are bytes.
  const isEndless = times === Infinity && typeof fate === 'object' && 'truncateAfter' in fate;
  return { call, from, times, fault, fate: isEndless ? { ...fate, truncateAfter: 0 } : fate };
}

function fateOf(fault: FaultKind, random: () => number): Fate {
  switch (fault) {
    case 'reset':
      return 'reset';
    case '503':
      return { status: 503, body: '<html>Service Unavailable</html>', headers: { 'content-type': 'text/html' } };
    case '429':
      return random() < 0.5 ? { status: 429 } : rateLimited;
    case 'lost reply':
      return 'lose-reply';
    case 'slow body':
      return { slow: 4, pieceBytes: 128 + Math.floor(random() * 16_384) };
    case 'truncated body':
      return { truncateAfter: Math.floor(random() * 300), quietly: random() < 0.5 };
  }
}

const rateLimited: Fate = {
  status: 429,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    error: { code: 429, message: 'slow down', errors: [{ reason: 'rateLimitExceeded', message: 'slow down' }] },
  }),
};

/** What the input and the tables must be for the planned calls to be made. */
function needs(
  faults: readonly PlannedFault[],
  kill: PlannedKill | undefined,
  draw: <T>(of: readonly T[]) => T,
): Pick<RunPlan, 'input' | 'tables'> {
  const main = kill !== undefined && 'call' in kill ? kill.call : faults[0]?.call;
  const input = draw(inputNames);
  const tables = draw(['none', 'there', 'narrow'] as const);
  return {
    input: main === 'storage: read staged' ? 'applicants.ndjson.gz' : input,
    tables: main === 'bigquery: create table' ? 'none' : main === 'bigquery: patch table' ? 'narrow' : tables,
  };
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function randomOf(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b9);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
