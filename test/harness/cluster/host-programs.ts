import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** Which of Debian's packages a program of the node is in. */
const packages = {
  containerd: 'containerd',
  ctr: 'containerd',
  runc: 'runc',
  nft: 'nftables',
  ip: 'iproute2',
  conntrack: 'conntrack',
  buildah: 'buildah',
  mmdebstrap: 'mmdebstrap',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
  tar: 'tar',
};

export type HostProgram = keyof typeof packages;

/** The CNI plugins' folder, which is not on any PATH. */
export const cniFolder = '/usr/lib/cni';

const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * Installs those of the node's programs that this machine lacks, with apt-get.
 * @throws Error in one line that says which are missing and what to install
 */
export async function ensureHostPrograms(log: (line: string) => void): Promise<void> {
  const missing = await findMissingPackages();
  if (missing.length === 0) return;
  log(`installing ${missing.join(', ')} with apt-get`);
  await runAptGet(['update', '-qq']);
  // Another run of apt-get is waited for.
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-qq', '-y', '--no-install-recommends'];
  const output = await runAptGet(['install', ...options, ...missing]);
  const stillMissing = await findMissingPackages();
  if (stillMissing.length > 0) {
    throw new Error(
      `the test cluster's node needs ${stillMissing.join(', ')}, and apt-get could not install them: ${output.trim().split('\n').slice(-3).join(' | ')}`,
    );
  }
}

/** The path of a program that `ensureHostPrograms` has found or installed. */
export async function hostProgram(name: HostProgram): Promise<string> {
  const found = await findProgram(name);
  if (found === undefined) throw new Error(`${name} was not found: install the package ${packages[name]}`);
  return found;
}

async function findMissingPackages(): Promise<string[]> {
  const missing = new Set<string>();
  for (const [name, packageName] of Object.entries(packages)) {
    if ((await findProgram(name)) === undefined) missing.add(packageName);
  }
  if (!(await isExecutable(join(cniFolder, 'bridge')))) missing.add('containernetworking-plugins');
  return [...missing];
}

async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of folders) if (await isExecutable(join(folder, name))) return join(folder, name);
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function runAptGet(args: string[]): Promise<string> {
  const child = spawn('apt-get', args, {
    // In runlevel 1 Debian's packages start no service.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // That there is no apt-get shows in what is missing afterwards.
  const closed = once(child, 'close').catch((error: Error) => error.message);
  const [stdout, stderr, ended] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return typeof ended === 'string' ? ended : stdout + stderr;
}
