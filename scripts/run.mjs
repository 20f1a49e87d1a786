// Runs `node FILE.ts ARGS...` (or `--bin NAME ARGS...`, a program of node_modules/.bin) on the Node that this project
// pins, after installing what is missing. Plain JavaScript without dependencies, because it is what runs first, on
// whatever Node >= 20 the machine has.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithNpm } from '../cli/bin/end-with-npm.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules', '.bin');
const oldestNode = 24;

function fail(message) {
  process.stderr.write(`riskmodel: ${message}\n`);
  process.exit(1);
}

/** Installs what the lock file says, unless node_modules was installed from exactly this lock file. */
function installDependencies() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.riskmodel-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('Installing dependencies (about a minute the first time) ...\n');
  let problem = npm('ci');
  // A registry mirror may lack the packages of other platforms, which leaves them out of the lock file; `npm ci` then
  // calls the lock incomplete. `npm install --no-save` installs the same locked versions and changes no file.
  if (problem?.includes('from lock file')) problem = npm('install', '--no-save');
  if (problem !== undefined) {
    process.stderr.write(problem);
    fail('the dependencies were not installed: check the network, or the registry that npm uses, and run this again');
  }
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, lock);
}

/** Runs npm; what it says when it fails, undefined when it does not. */
function npm(...args) {
  const { error, status, stdout, stderr } = spawnSync('npm', [...args, '--no-progress', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (error) fail(`npm was not found (${error.message}): install Node.js >= 20 with npm, then run this again`);
  return status === 0 ? undefined : `${stdout}${stderr}`;
}

/** The Node that runs the product: the pinned one of node_modules, else this one when it is new enough. */
function findNode() {
  const pinned = join(bin, 'node');
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split('.')[0]) < oldestNode) {
    fail(`no pinned Node for ${process.platform}/${process.arch}: install Node.js >= ${oldestNode} and run this again`);
  }
  return process.execPath;
}

endWithNpm();
installDependencies();
const [first, ...rest] = process.argv.slice(2);
const isProgram = first === '--bin';
const [command, args] = isProgram ? [join(bin, rest[0]), rest.slice(1)] : [findNode(), [first, ...rest]];
const child = spawn(command, args, {
  cwd: isProgram ? root : process.cwd(),
  // The IPC channel tells a script when this process is killed.
  stdio: ['inherit', 'inherit', 'inherit', ...(isProgram ? [] : ['ipc'])],
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    // A terminal's Ctrl-C reaches the child without help; passed on, it would count as a second one.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on('error', (error) => fail(`cannot start ${command}: ${error.message}`));
child.on('exit', (code) => process.exit(code ?? 1));
