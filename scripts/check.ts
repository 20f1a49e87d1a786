// The gate: everything that can be said about the sources without running them, as one line each. Exits 1 when
// anything fails, with the words of the tool that failed.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const folders = ['core', 'operator', 'server', 'queue-worker', 'cli', 'test', 'scripts', 'examples', 'bench'];

interface Check {
  name: string;
  command: string[];
  /** What to do about a failure, when the tool does not say it. */
  hint?: string;
}

const checks: Check[] = [
  { name: 'format', command: ['oxfmt', '--check', '.'], hint: 'run: npm run format' },
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--quiet'] },
  {
    name: 'layers',
    command: [
      'depcruise',
      '--config',
      '.dependency-cruiser.mjs',
      ...folders.filter((folder) => existsSync(join(root, folder))),
    ],
  },
  { name: 'generated types', command: ['node', 'scripts/generate-types.ts', '--check'] },
  { name: 'generated chart', command: ['node', 'scripts/generate-chart.ts', '--check'] },
  { name: 'chart lint', command: ['node', 'scripts/lint-chart.ts'] },
];

async function run({ name, command: [program = '', ...args], hint }: Check): Promise<boolean> {
  const startedAt = performance.now();
  const file = program === 'node' ? process.execPath : join(bin, program);
  const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'}  ${name.padEnd(15)}  ${seconds} s`);
  if (code === 0) return true;
  const output = `${stdout}${stderr}`.trim();
  console.log([output, ...(hint === undefined ? [] : [hint])].join('\n'));
  return false;
}

let failed = 0;
for (const check of checks) if (!(await run(check))) failed++;
if (failed > 0) {
  console.log(`${failed} of ${checks.length} checks failed`);
  process.exitCode = 1;
}
