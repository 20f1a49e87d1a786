// Runs `node FILE.ts ARGS...` (or `--bin NAME ARGS...`, a program of node_modules/.bin) on the Node that this project
// pins, after installing what is missing. Plain JavaScript without dependencies, because it is what runs first, on
// whatever Node >= 20 the machine has.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
const bin = join(root, 'node_modules', '.bin');
const oldestNode = 24;

function fail(message) {
  process.stderr.write(`riskmodel: ${message}\n`);
  process.exit(1);
}

/** Runs `npm ci` unless node_modules was installed from exactly this lock file. */
function installDependencies() {
  const lock = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex');
  const stamp = join(root, 'node_modules', '.riskmodel-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('Installing dependencies (npm ci; about a minute the first time) ...\n');
  const npm = spawnSync('npm', ['ci', '--no-progress', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (npm.error) fail(`npm was not found (${npm.error.message}): install Node.js >= 20 with npm, then run this again`);
  if (npm.status !== 0) fail('npm ci failed: see its message above; check the network or the npm registry setting, then run this again');
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, lock);
}

/** The Node that runs the product: the pinned one of node_modules, else this one when it is new enough. */
function findNode() {
  const pinned = join(bin, 'node');
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= oldestNode) return process.execPath;
  return fail(`no pinned Node for ${process.platform}/${process.arch}: install Node.js >= ${oldestNode} and run this again`);
}

installDependencies();
const [first, ...rest] = process.argv.slice(2);
const [command, args] = first === '--bin' ? [join(bin, rest[0]), rest.slice(1)] : [findNode(), [first, ...rest]];
const child = spawn(command, args, {
  cwd: first === '--bin' ? root : process.cwd(),
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => fail(`cannot start ${command}: ${error.message}`));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
