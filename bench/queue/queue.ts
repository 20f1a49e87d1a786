import { setTimeout as sleep } from 'node:timers/promises';
import { isFinal, type Batch } from '../../core/src/batches/batch.ts';
import { ensureRedis } from '../../cli/src/local-redis.ts';
import { writeApplicants } from '../../test/harness/applicants.ts';
import { LocalSystem } from '../../test/harness/local-system.ts';
import { median, spreadOf, type Spread } from '../median.ts';

export interface QueueOptions {
  /** Batches of a round. */
  batches: number;
  /** Rows of a batch. */
  rows: number;
  rounds: number;
  log: (line: string) => void;
}

/** Its rates are batches a second, from the first that is submitted to the last that is done. */
export interface QueueResult extends Spread {
  batches: number;
  rows: number;
  /** Batches a second that are submitted; the median of the rounds. */
  enqueued: number;
}

/** Clients that submit batches at once. */
const submitters = 32;
/** Inputs that the batches share: what a batch costs is not what finding a file costs. */
const inputs = 100;

/** How many small batches a second one worker process takes from being submitted to being in the warehouse. */
export async function benchQueue({ batches, rows, rounds, log }: QueueOptions): Promise<QueueResult> {
  const redis = await ensureRedis({ env: process.env, log });
  const enqueued: number[] = [];
  const done: number[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      const result = await measure(redis.url, batches, rows);
      enqueued.push(result.enqueued);
      done.push(result.done);
      log(`round ${round}: ${Math.round(result.done)} batches/s`);
    }
  } finally {
    await redis.stop();
  }
  return { batches, rows, enqueued: median(enqueued), ...spreadOf(done) };
}

async function measure(redisUrl: string, batches: number, rows: number): Promise<{ enqueued: number; done: number }> {
  const system = await LocalSystem.start({ redisUrl });
  try {
    const uris = Array.from({ length: inputs }, (_, index) => `gs://inputs/small-${index}.ndjson`);
    for (const [seed, uri] of uris.entries()) await writeApplicants({ rows, seed, out: system.pathOf(uri) });
    await system.startWorker();
    // What is compiled and opened on the way is no part of what is measured.
    await system.run(uris[0] as string);

    const started = performance.now();
    const ids = await submitAll(system, batches, uris);
    const enqueuedSeconds = (performance.now() - started) / 1_000;
    await allDone(system, ids, rows);
    const doneSeconds = (performance.now() - started) / 1_000;
    return { enqueued: batches / enqueuedSeconds, done: batches / doneSeconds };
  } finally {
    await system.stop();
  }
}

async function submitAll(system: LocalSystem, batches: number, uris: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  let next = 0;
  const submit = async (): Promise<void> => {
    while (next < batches) {
      const { id } = await system.submit(uris[next++ % uris.length] as string);
      ids.push(id);
    }
  };
  await Promise.all(Array.from({ length: submitters }, submit));
  return ids;
}

/** @throws Error when one ended otherwise than done, with every row: a figure of such a run would mean nothing */
async function allDone(system: LocalSystem, ids: readonly string[], rows: number): Promise<void> {
  for (const id of ids) {
    let batch: Batch | undefined = await system.batches.get(id);
    while (batch === undefined || !isFinal(batch.state)) {
      await sleep(20);
      batch = await system.batches.get(id);
    }
    if (batch.state !== 'done' || batch.rows.done !== rows)
      throw new Error(`a batch ended as ${JSON.stringify(batch)}`);
  }
  const [results] = await system.query(`SELECT count(*)::INTEGER AS n FROM ${system.table('results')}`);
  const expected = (ids.length + 1) * rows;
  if (results?.['n'] !== expected) throw new Error(`${JSON.stringify(results)} rows in place of ${expected}`);
}
