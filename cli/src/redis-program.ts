import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Programs that speak Redis' protocol, the one to prefer first. */
const serverNames = ['redis-server', 'valkey-server'];

/** Where package managers put servers that a short PATH does not reach. */
const furtherFolders = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/** How one package manager installs Redis without starting it as a service. */
interface Installation {
  /** The package manager's program. */
  manager: string;
  needsRoot: boolean;
  commands: string[][];
  env?: Record<string, string>;
}

const installations: Installation[] = [
  {
    manager: 'apt-get',
    needsRoot: true,
    commands: [
      ['apt-get', 'update', '-qq'],
      // Another run of apt-get is waited for.
      ['apt-get', '-o', 'DPkg::Lock::Timeout=180', 'install', '-qq', '-y', '--no-install-recommends', 'redis-server'],
    ],
    // In runlevel 1 Debian's packages start no service.
    env: { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  },
  { manager: 'apk', needsRoot: true, commands: [['apk', 'add', '--no-progress', 'redis']] },
  { manager: 'dnf', needsRoot: true, commands: [['dnf', 'install', '-q', '-y', 'redis']] },
  { manager: 'brew', needsRoot: false, commands: [['brew', 'install', '--quiet', 'redis']] },
];

/** The path of a Redis (or Valkey) server program; undefined when there is none. */
export async function findRedisProgram(path: string | undefined): Promise<string | undefined> {
  for (const name of serverNames) {
    const found = await findProgram(name, [...(path ?? '').split(delimiter), ...furtherFolders]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Installs Redis with the system's package manager, if there is one that this user may run: whether it was installed.
 * `log` is told what is being done, and the package manager's own words when it fails.
 */
export async function installRedis(
  env: NodeJS.ProcessEnv,
  log: (line: string) => void,
  isRoot = process.getuid?.() === 0,
): Promise<boolean> {
  for (const { manager, needsRoot, commands, env: extra } of installations) {
    if (needsRoot && !isRoot) continue;
    if ((await findProgram(manager, (env['PATH'] ?? '').split(delimiter))) === undefined) continue;
    log(`Installing Redis with ${manager} ...`);
    let installed = false;
    for (const command of commands) {
      const { code, output } = await runCommand(command, { ...env, ...extra });
      // The last command decides: lists of packages that could not be brought up to date may be good enough.
      installed = code === 0;
      if (!installed) log(`${command.join(' ')} failed:\n${output.trimEnd()}`);
    }
    return installed;
  }
  return false;
}

async function findProgram(name: string, folders: string[]): Promise<string | undefined> {
  for (const folder of folders.filter((folder) => folder !== '')) {
    const path = join(folder, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // The next folder may have it.
    }
  }
  return undefined;
}

async function runCommand(
  [command, ...args]: string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(command as string, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}
