import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { spawnProgram } from '../../../cli/src/lifeline.ts';
import { cacheFolder } from './cache-folder.ts';
import { withFileLock } from './file-lock.ts';
import { goProgram, type GoProgram, type ProgramName } from './go-programs.ts';

const progressMs = 60_000;

/**
 * Builds the programs that are not in the cache yet, which takes minutes the first time and nothing afterwards.
 * @param log told, in whole lines, what takes long
 * @returns the path of each program
 * @throws Error in one line: that Go is missing, or which build failed, its last words and where the rest of them is
 */
export async function ensureBinaries<Name extends ProgramName>(
  names: readonly Name[],
  log: (line: string) => void,
): Promise<Record<Name, string>> {
  const paths = {} as Record<Name, string>;
  for (const name of names) paths[name] = await ensureProgram(goProgram(name), log);
  return paths;
}

async function ensureProgram(program: GoProgram, log: (line: string) => void): Promise<string> {
  const target = join(cacheFolder(), program.cachePath);
  if (existsSync(target)) return target;
  await assertGo(program, target);
  await mkdir(dirname(target), { recursive: true });
  const build = async (): Promise<void> => {
    // Another run may have built it while this one waited.
    if (!existsSync(target)) await buildProgram(program, target, log);
  };
  // One lock for all: two Go builds at a time take longer than one after the other, which share what they compile.
  await withFileLock(join(cacheFolder(), 'go-build.lock'), build, () =>
    log(`waiting for another run that builds programs, then building ${program.name} ${program.version}`),
  );
  return target;
}

async function buildProgram(program: GoProgram, target: string, log: (line: string) => void): Promise<void> {
  const { name, version, minutes } = program;
  const about = minutes === 1 ? 'a minute' : `${minutes} minutes`;
  log(`building ${name} ${version}, about ${about} the first time`);
  const startedAt = Date.now();
  const progress = setInterval(() => log(`still building ${name} (${sinceText(startedAt)})`), progressMs);
  const partial = `${target}.partial`;
  const logFile = `${target}.log`;
  try {
    const code = await runGoBuild(program, partial, logFile);
    if (code !== 0) {
      const lastWords = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-3).join(' | ');
      throw new Error(
        `building ${name} ${version} failed (exit code ${code}): ${lastWords}; all of it is in ${logFile}`,
      );
    }
    await rename(partial, target);
    log(`built ${name} ${version} in ${sinceText(startedAt)}`);
  } finally {
    clearInterval(progress);
    await rm(partial, { force: true });
  }
}

async function runGoBuild(program: GoProgram, output: string, logFile: string): Promise<number | null> {
  const variables = Object.entries(program.variables).map(([name, value]) => `-X ${name}=${value}`);
  const build = [
    'go',
    'build',
    '-C',
    program.moduleFolder,
    '-mod=readonly',
    '-trimpath',
    '-buildvcs=false',
    `-ldflags=${['-s -w', ...variables].join(' ')}`,
    '-o',
    output,
    program.package,
  ];
  const logFd = openSync(logFile, 'w');
  try {
    // Without cgo the programs are static, so they also run in an image that holds nothing else.
    const child = spawnProgram('env', ['CGO_ENABLED=0', ...build], { logFd });
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  } finally {
    closeSync(logFd);
  }
}

async function assertGo({ name, version }: GoProgram, target: string): Promise<void> {
  try {
    await promisify(execFile)('go', ['version']);
  } catch {
    throw new Error(
      `Go is needed to build ${name} ${version} and was not found: install Go (1.26 or newer), or put the program at ${target}`,
    );
  }
}

function sinceText(startedAt: number): string {
  const seconds = Math.round((Date.now() - startedAt) / 1_000);
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} minutes`;
}
