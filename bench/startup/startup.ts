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
import { makeImagePrograms } from './image-programs.ts';
import { podEnv } from '../pod-env.ts';

export interface StartupOptions {
  rounds: number;
  /** How long the load lasts after which memory is looked at again. */
  loadSeconds: number;
  log: (line: string) => void;
}

/** Medians over the rounds, in milliseconds from the start of the process. */
export interface Start {
  serverReadyMs: number;
  workerFirstJobMs: number;
}

export interface StartupResult {
  /** As a pod starts: of the image's JavaScript. */
  image: Start;
  /** As `riskmodel up` starts: of the sources, with what Node compiled the last time. */
  local: Start;
  /** Of the sources, the first time. */
  sources: Start;
  /** Resident bytes of a pod's server that has answered nothing yet, after a tenth of the load, and after all of it. */
  idleBytes: number;
  earlyBytes: number;
  lateBytes: number;
  /** Requests of the whole load. */
  requests: number;
}

/** A way to start the programs. */
interface Way {
  server?: string;
  queueWorker?: string;
  env: NodeJS.ProcessEnv;
}

/** After the start, and after a load, memory is still being given back. */
const settleMs = 3_000;

/** How soon a server is ready and a worker at work, and how much memory a server holds before and after a load. */
export async function benchStartup({ rounds, loadSeconds, log }: StartupOptions): Promise<StartupResult> {
  const redis = await ensureRedis({ env: process.env, log });
  const system = await LocalSystem.start({ redisUrl: redis.url });
  try {
    const bench = await prepareWorkbench({ folder: system.folder, redisUrl: redis.url });
    const ways: Record<keyof Pick<StartupResult, 'image' | 'local' | 'sources'>, Way> = {
      image: { ...(await makeImagePrograms(join(system.folder, 'image'))), env: podEnv },
      local: { env: { NODE_COMPILE_CACHE: join(system.folder, 'compile-cache') } },
      sources: { env: {} },
    };
    const time = async (way: Way): Promise<Start> => ({
      serverReadyMs: await timeReady(system, bench, way),
      workerFirstJobMs: await timeFirstJob(redis.url, way),
    });
    await time(ways.local);
    const times = { image: [] as Start[], local: [] as Start[], sources: [] as Start[] };
    for (let round = 1; round <= rounds; round++) {
      for (const name of ['image', 'local', 'sources'] as const) {
        const start = await time(ways[name]);
        times[name].push(start);
        log(
          `round ${round}, ${name}: server ${start.serverReadyMs.toFixed(0)} ms, worker ${start.workerFirstJobMs.toFixed(0)} ms`,
        );
      }
    }
    return {
      image: medianOf(times.image),
      local: medianOf(times.local),
      sources: medianOf(times.sources),
      ...(await measureMemory(system, bench, ways.image, loadSeconds)),
    };
  } finally {
    await system.stop();
    await redis.stop();
  }
}

function medianOf(starts: readonly Start[]): Start {
  return {
    serverReadyMs: median(starts.map(({ serverReadyMs }) => serverReadyMs)),
    workerFirstJobMs: median(starts.map(({ workerFirstJobMs }) => workerFirstJobMs)),
  };
}

/** Milliseconds from a server's start until it says that it is ready. */
async function timeReady(system: LocalSystem, { manifest }: Workbench, { server, env }: Way): Promise<number> {
  const started = performance.now();
  const { program } = await system.startServer({ RISKMODEL_MANIFESTS: manifest, ...env }, server);
  const took = performance.now() - started;
  await program.stop();
  return took;
}

/** Milliseconds from a worker's start until it has begun with a batch that waited for it. */
async function timeFirstJob(redisUrl: string, { queueWorker, env }: Way): Promise<number> {
  const system = await LocalSystem.start({ redisUrl });
  try {
    const uri = 'gs://inputs/few.ndjson';
    await writeApplicants({ rows: 100, seed: 3, out: system.pathOf(uri) });
    const { id } = await system.submit(uri);
    const started = performance.now();
    const working = system.startWorker(env, queueWorker);
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
  { server, env }: Way,
  loadSeconds: number,
): Promise<Pick<StartupResult, 'idleBytes' | 'earlyBytes' | 'lateBytes' | 'requests'>> {
  const { program, url } = await system.startServer({ RISKMODEL_MANIFESTS: bench.manifest, ...env }, server);
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
