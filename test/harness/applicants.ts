import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const generator = join(import.meta.dirname, '..', '..', 'examples', 'credit-default', 'generate.ts');

/**
 * Writes applicants of the example to a file whose name tells the format. In a process of its own: within Jest's
 * realm, where every global is looked up anew, millions of rows take ten times as long.
 */
export async function writeApplicants({ rows, seed, out }: { rows: number; seed: number; out: string }): Promise<void> {
  await mkdir(dirname(out), { recursive: true });
  await promisify(execFile)(process.execPath, [
    generator,
    '--rows',
    String(rows),
    '--seed',
    String(seed),
    '--out',
    out,
  ]);
}
