import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './cluster/cache-folder.ts';
import { withFileLock } from './cluster/file-lock.ts';

const run = promisify(execFile);

export interface PythonEnvironmentOptions {
  /** Names its folder in the cache. */
  name: string;
  /** A file of pinned requirements. */
  requirements: string;
  /** Such as 3.13: what the pinned wheels are for. */
  version: string;
  /** Said before it is installed, which takes a while. */
  notice: string;
  /** What is to be done once after the installation. */
  prepare?: (environment: PythonEnvironment) => Promise<void>;
}

export interface PythonEnvironment {
  python: string;
  /** A folder of its own, which stays. */
  home: string;
}

/**
 * A Python with what a file of requirements pins, in the cache; made once for each content of that file.
 * @throws Error when there is no such Python, or the packages can't be had
 */
export async function ensurePython({
  name,
  requirements,
  version,
  notice,
  prepare,
}: PythonEnvironmentOptions): Promise<PythonEnvironment> {
  const digest = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheFolder(), `${name}-${digest}`);
  const environment = { python: join(folder, 'venv', 'bin', 'python'), home: join(folder, 'home') };
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return environment;
  await mkdir(cacheFolder(), { recursive: true });
  await withFileLock(join(cacheFolder(), `${name}.lock`), async () => {
    if (existsSync(complete)) return;
    const python = await findPython(version);
    console.error(notice);
    await rm(folder, { recursive: true, force: true });
    await mkdir(environment.home, { recursive: true });
    await run(python, ['-m', 'venv', join(folder, 'venv')]);
    await run(environment.python, ['-m', 'pip', 'install', '--quiet', '--only-binary=:all:', '-r', requirements]);
    await prepare?.(environment);
    await writeFile(complete, '');
  });
  return environment;
}

/** A Python of the version: on the PATH, or one of pyenv's. */
async function findPython(version: string): Promise<string> {
  const pyenv = join(process.env['PYENV_ROOT'] || join(homedir(), '.pyenv'), 'versions');
  const installed = (await readdir(pyenv).catch(() => [])).filter((name) => name.startsWith(`${version}.`));
  const print = 'import venv, sys; print("%d.%d" % sys.version_info[:2])';
  for (const python of [`python${version}`, ...installed.map((name) => join(pyenv, name, 'bin', 'python'))]) {
    const answers = await run(python, ['-c', print]).catch(() => undefined);
    if (answers?.stdout.trim() === version) return python;
  }
  throw new Error(`there is no Python ${version}, neither on the PATH nor from pyenv ("pyenv install ${version}")`);
}
