import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { writeApplicants } from '../harness/applicants.ts';
import { printFigure } from '../harness/figures.ts';
import { GoogleCloud, isRealProject, whyNoGoogleCloud } from '../harness/google-cloud.ts';
import { callKinds, type CallKind } from './google-cloud-calls.ts';
import { FaultLane, type RunOutcome, type SeenCall } from './google-cloud-lane.ts';
import { faultKinds, inputNames, planOf, type RunPlan } from './google-cloud-plan.ts';
import { faults as steps } from './faulty-worker.ts';

/** Batches under way at once, each with a worker process of its own. */
const lanes = 4;

const rows = 2_500;
/** Records that break the schema, in each of the three chunks. */
const broken = [7, 1_200, 2_300];
const accepted = rows - broken.length;

/** What a batch may fail with when a service does not come back. */
const codesOfOutages = new Set(['ArtifactUnreadable', 'StorageUnavailable', 'BigQueryUnavailable']);

const reason = isRealProject ? 'faults are injected in front of emulators only' : await whyNoGoogleCloud();

/** Declares the tests of so many runs, each with faults by its seed. `FAULT_SEED=17` makes one of them alone, `0-49` some. */
export function describeRuns(count: number, options: { coversAll: boolean }): void {
  jest.setTimeout(2_400_000);
  const { FAULT_SEED } = process.env;
  const [firstSeed = 0, lastSeed = firstSeed] = (FAULT_SEED ?? `0-${count - 1}`).split('-').map(Number);
  const seeds = Array.from({ length: lastSeed - firstSeed + 1 }, (_, index) => firstSeed + index);
  const title = 'batches from Cloud Storage to BigQuery, with faults';
  (reason === undefined ? describe : describe.skip)(title, () =>
    declareRuns(seeds, options.coversAll && FAULT_SEED === undefined),
  );
}

/** @param coversAll whether the runs are many enough for every fault to come at every call */
function declareRuns(seeds: readonly number[], coversAll: boolean): void {
  let cloud: GoogleCloud;
  let all: FaultLane[];
  /** Calls of batches without faults. */
  const faultless: SeenCall[] = [];
  const outcomes: RunOutcome[] = [];
  const violations: string[] = [];

  /** Makes a run. Returns what is wrong about it, with its calls. */
  async function runAndCheck(lane: FaultLane, plan: RunPlan): Promise<string | undefined> {
    try {
      const outcome = await lane.run(plan);
      outcomes.push(outcome);
      const violation = violationOf(outcome);
      return violation === undefined ? undefined : `${violation}\n${storyOf(outcome)}`;
    } catch (error) {
      return `seed ${plan.seed}: ${(error as Error).message}\n${JSON.stringify(plan)}`;
    }
  }

  beforeAll(async () => {
    cloud = await GoogleCloud.start();
    await putInputs(cloud);
    const artifact = await cloud.upload('model.onnx', 'examples/credit-default/model.onnx');
    all = await Promise.all(
      Array.from({ length: lanes }, (_, lane) => FaultLane.start(cloud, `lane_${lane}`, artifact)),
    );
  });

  afterAll(async () => {
    await Promise.all(all.map((lane) => lane.stop()));
    await cloud.stop();
  });

  test('without faults they make the calls that are to fail', async () => {
    await Promise.all(
      all.map(async (lane, index) => {
        for (const tables of ['none', 'narrow'] as const) {
          const input = inputNames[index % inputNames.length] as RunPlan['input'];
          const outcome = await lane.run({ seed: -1, input, tables, faults: [], kill: undefined, newWorker: false });
          expect(violationOf(outcome)).toBeUndefined();
          faultless.push(...outcome.calls);
        }
      }),
    );
    const kinds = new Set(faultless.map(({ kind }) => kind));
    expect(callKinds.filter((kind) => !kinds.has(kind))).toEqual([]);
    expect(faultless.filter(({ status }) => status === undefined || status >= 500)).toEqual([]);
  });

  test('with them every row is there once, or the batch failed with nothing written', async () => {
    const waiting = seeds.map(planOf);
    const started = performance.now();
    await Promise.all(
      all.map(async (lane) => {
        for (let plan = waiting.shift(); plan !== undefined; plan = waiting.shift()) {
          const violation = await runAndCheck(lane, plan);
          if (violation === undefined) continue;
          violations.push(violation);
          printFigure(`wrong: ${violation}`);
        }
      }),
    );
    const of = (state: string): number => outcomes.filter(({ batch }) => batch.state === state).length;
    const seconds = Math.round((performance.now() - started) / 1_000);
    const killed = outcomes.filter((outcome) => outcome.killed).length;
    const outlasted = outcomes.filter((outcome) => outcome.outlasted).length;
    printFigure(
      `${outcomes.length} seeded runs in ${seconds} s: ${of('done')} done with every row once (${outlasted} of them by a commit that outlasted more than 8 failures), ${of('failed')} failed with nothing written; ${killed} workers killed with -9, ${faultsOf(outcomes).length} faults injected; ${violations.length} violations`,
    );
    expect(violations).toEqual([]);
  });

  if (!coversAll) return;

  test('every call had every fault', () => {
    const faults = faultsOf(outcomes);
    const counts = callKinds.map((kind) =>
      faultKinds.map((fault) => faults.filter((call) => call.kind === kind && call.fault === fault).length),
    );
    printFigure(`${'faults by call'.padEnd(24)} ${faultKinds.map((name) => name.padStart(14)).join('')}`);
    for (const [index, kind] of callKinds.entries()) {
      printFigure(`${kind.padEnd(24)} ${counts[index]?.map((count) => String(count).padStart(14)).join('')}`);
    }
    expect(counts.flat().every((count) => count > 0)).toBe(true);
  });

  test('workers were killed at every step and at every call', () => {
    const kills = outcomes.filter(({ killed }) => killed).map(({ plan }) => plan.kill);
    const atSteps = steps.map(
      (step) => kills.filter((kill) => kill !== undefined && 'step' in kill && kill.step === step).length,
    );
    const calls = callKinds.filter((kind) => kind !== 'storage: stat staged');
    const atCalls = (['before', 'after'] as const).map((when) =>
      calls.map((kind) => kills.filter((kill) => isKillAt(kill, kind, when)).length),
    );
    printFigure(`killed at ${steps.length} steps: ${atSteps.join(', ')} times`);
    printFigure(`killed before each of ${calls.length} calls reached the server: ${atCalls[0]?.join(', ')} times`);
    printFigure(`killed after the server had acted on them: ${atCalls[1]?.join(', ')} times`);
    expect([...atSteps, ...atCalls.flat()].every((count) => count > 0)).toBe(true);
  });
}

function isKillAt(kill: RunPlan['kill'], kind: CallKind, when: 'before' | 'after'): boolean {
  return kill !== undefined && 'call' in kill && kill.call === kind && kill.when === when;
}

/** What is wrong about a run, if anything is. */
function violationOf({ plan, batch, crashes, staged, results, metrics, rejects }: RunOutcome): string | undefined {
  const wrong: string[] = [];
  if (crashes.length > 0) wrong.push(`a worker ended by itself: ${crashes.join('\n')}`);
  if (batch.state === 'done') {
    const { total, done, failed } = batch.rows;
    if (total !== rows || done !== accepted || failed !== broken.length) wrong.push('the batch counts wrong');
    const { rows: found, records, unscored, last } = results;
    if (found !== accepted || records !== accepted || unscored > 0 || last !== rows - 1) wrong.push('rows are wrong');
    if (metrics.rows !== 5 || metrics.support !== accepted) wrong.push('metrics are wrong');
    if (rejects.join() !== broken.join()) wrong.push('rejects are wrong');
  } else {
    if (results.rows > 0) wrong.push('the batch failed with rows written');
    if (!plan.faults.some(({ times }) => times === Infinity)) wrong.push('the batch failed of faults that pass');
    if (!codesOfOutages.has(batch.error?.code ?? '')) wrong.push(`no outage: ${JSON.stringify(batch.error)}`);
  }
  // Without leave to list or delete there is no tidying up: the bucket's lifecycle rule sees to it.
  const canTidy = !plan.faults.some(
    ({ call, times }) => times === Infinity && (call === 'storage: list' || call === 'storage: delete'),
  );
  if (canTidy && staged.length > 0) wrong.push(`left in staging: ${staged.join(', ')}`);
  return wrong.length === 0 ? undefined : `seed ${plan.seed}: ${wrong.join('; ')}`;
}

function storyOf({ plan, batch, calls, results, metrics, rejects }: RunOutcome): string {
  const facts = JSON.stringify({ plan, batch, results, metrics, rejects });
  const told = calls.map(({ kind, fault, status }) => [kind, fault, status].filter(Boolean).join(' '));
  return `${facts}\n${told.join('\n')}`;
}

function faultsOf(outcomes: readonly RunOutcome[]): SeenCall[] {
  return outcomes.flatMap(({ calls }) =>
    calls.filter(({ fault }) => fault !== undefined && !fault.startsWith('killed')),
  );
}

/** The same applicants in every format, of whom some break the schema. */
async function putInputs(cloud: GoogleCloud): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'riskmodel-faults-'));
  const path = (name: string): string => join(folder, name);
  try {
    await writeApplicants({ rows, seed: 31, out: path('applicants.ndjson') });
    const lines = (await readFile(path('applicants.ndjson'), 'utf8')).trimEnd().split('\n');
    const text = `${lines.map((line, index) => (broken.includes(index) ? withoutAge(line) : line)).join('\n')}\n`;
    await writeFile(path('applicants.ndjson'), text);
    await writeFile(path('applicants.ndjson.gz'), gzipSync(text));
    const database = await (await DuckDBInstance.create(':memory:')).connect();
    for (const format of ['csv', 'parquet']) {
      await database.run(
        `COPY (SELECT * FROM read_json('${path('applicants.ndjson')}', format = 'newline_delimited')) TO '${path(`applicants.${format}`)}' (FORMAT ${format})`,
      );
    }
    database.closeSync();
    await Promise.all(inputNames.map((name) => cloud.upload(name, path(name))));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function withoutAge(line: string): string {
  return JSON.stringify({ ...(JSON.parse(line) as object), AGE: -1 });
}
