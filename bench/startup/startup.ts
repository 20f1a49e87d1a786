import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureRedis } from '../../cli/src/local-redis.ts';
import { writeApplicants } from '../../test/harness/applicants.ts';
import { LocalSystem } from '../../test/harness/local-system.ts';
import { closedLoop, loadCore } from '../load/closed-loop.ts';
import { median } from '../median.ts';
import { callLines } from '../online/calls.ts';
import { prepareWorkbench, type Workbench } from '../workbench.ts';

export interface StartupOptions {
  rounds: number;
  /** How long the load lasts after which memory is looked at again. */
  loadSeconds: number;
  log: (line: string) => void;
}

export interface StartupResult {
  /** Medians over the rounds, from the start of the process. */
  serverReadyMs: number;
  workerFirstJobMs: number;
  /** The same with what Node compiled the last time, which `riskmodel up` keeps; a pod starts without. */
  serverReadyAgainMs: number;
  workerFirstJobAgainMs: number;
  /** Resident bytes of a server that has answered nothing yet, after a tenth of the load, and after all of it. */
  idleBytes: number;
  earlyBytes: number;
  lateBytes: number;
  /** Requests of the whole load. */
  requests: number;
}

/** After the start, and after a load, memory is still being given back. */
const settleMs = 3_000;

/** How soon a server is ready and a worker at work, and how much memory a server holds before and after a load. */
export async function benchStartup({ rounds, loadSeconds, log }: StartupOptions): Promise<StartupResult> {
  const redis = await ensureRedis({ env: process.env, log });
  const system = await LocalSystem.start({ redisUrl: redis.url });
  try {
    const bench = await prepareWorkbench({ folder: system.folder, redisUrl: redis.url });
    const compiled = { NODE_COMPILE_CACHE: join(system.folder, 'compile-cache') };
    const time = async (env: NodeJS.ProcessEnv): Promise<[serverMs: number, workerMs: number]> => [
      await timeReady(system, bench, env),
      await timeFirstJob(redis.url, env),
    ];
    await time(compiled);
    const first: [number, number][] = [];
    const again: [number, number][] = [];
    for (let round = 1; round <= rounds; round++) {
      const [server, worker] = await time({});
      first.push([server, worker]);
      again.push(await time(compiled));
      log(`round ${round}: server ${server.toFixed(0)} ms, worker ${worker.toFixed(0)} ms`);
    }
    return {
      serverReadyMs: median(first.map(([server]) => server)),
      workerFirstJobMs: median(first.map(([, worker]) => worker)),
      serverReadyAgainMs: median(again.map(([server]) => server)),
      workerFirstJobAgainMs: median(again.map(([, worker]) => worker)),
      ...(await measureMemory(system, bench, loadSeconds)),
    };
  } finally {
    await system.stop();
    await redis.stop();
  }
}

/** Milliseconds from a server's start until it says that it is ready. */
async function timeReady(system: LocalSystem, { manifest }: Workbench, env: NodeJS.ProcessEnv): Promise<number> {
  const started = performance.now();
  const { program } = await system.startServer({ RISKMODEL_MANIFESTS: manifest, ...env });
  const took = performance.now() - started;
  await program.stop();
  return took;
}

/** Milliseconds from a worker's start until it has begun with a batch that waited for it. */
async function timeFirstJob(redisUrl: string, env: NodeJS.ProcessEnv): Promise<number> {
  const system = await LocalSystem.start({ redisUrl });
  try {
    const uri = 'gs://inputs/few.ndjson';
    await writeApplicants({ rows: 100, seed: 3, out: system.pathOf(uri) });
    const { id } = await system.submit(uri);
    const started = performance.now();
    const working = system.startWorker(env);
    await system.waitFor(id, ({ state }) => state !== 'queued');
    const took = performance.now() - started;
    // At its own end, so that it leaves what it has compiled.
    await (await working).stop();
    return took;
  } finally {
    await system.stop();
  }
}

async function measureMemory(
  system: LocalSystem,
  bench: Workbench,
  loadSeconds: number,
): Promise<Pick<StartupResult, 'idleBytes' | 'earlyBytes' | 'lateBytes' | 'requests'>> {
  const { program, url } = await system.startServer({ RISKMODEL_MANIFESTS: bench.manifest });
  const callsFile = join(bench.dataDir, 'record.tsv');
  await writeFile(callsFile, callLines(bench, 'record'));
  const target = { url: `${url}/risk-online-prediction`, callsFile, isExact: true, connections: 64, core: loadCore };
  const load = async (seconds: number): Promise<number> => {
    const { rate } = await closedLoop({ ...target, seconds });
    await sleep(settleMs);
    return rate * seconds;
  };
  try {
    await sleep(settleMs);
    const idleBytes = program.residentMemory();
    const early = await load(Math.ceil(loadSeconds / 10));
    const earlyBytes = program.residentMemory();
    const late = await load(loadSeconds);
    return { idleBytes, earlyBytes, lateBytes: program.residentMemory(), requests: Math.round(early + late) };
  } finally {
    await program.stop();
  }
}
