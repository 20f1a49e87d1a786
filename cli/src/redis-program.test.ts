import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { findRedisProgram, installRedis } from './redis-program.ts';

let folder: string;
let told: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-test-'));
  told = [];
});

afterEach(() => rm(folder, { recursive: true }));

function log(line: string): void {
  told.push(line);
}

/** Puts a program into the folder that writes down how it was called. */
async function addProgram(name: string, exitCode = 0): Promise<string> {
  const file = join(folder, name);
  const script = `#!/bin/sh
echo "${name} $*; $DEBIAN_FRONTEND runlevel $RUNLEVEL" >> ${folder}/calls
echo "words of ${name}"
exit ${exitCode}
`;
  await writeFile(file, script);
  await chmod(file, 0o755);
  return file;
}

describe('finding a server program', () => {
  test('takes the first on the PATH', async () => {
    const server = await addProgram('redis-server');
    expect(await findRedisProgram(['/no/such/folder', folder].join(delimiter))).toBe(server);
  });

  test('passes over a file that can not be run', async () => {
    await writeFile(join(folder, 'redis-server'), '');
    expect(await findRedisProgram(folder)).not.toBe(join(folder, 'redis-server'));
  });
});

describe('installing', () => {
  test('as root with apt-get: no question is asked and no service is started', async () => {
    await addProgram('apt-get');
    expect(await installRedis({ PATH: folder }, log, true)).toBe(true);
    expect(await readFile(join(folder, 'calls'), 'utf8')).toBe(
      [
        'apt-get update -qq; noninteractive runlevel 1',
        'apt-get -o DPkg::Lock::Timeout=180 install -qq -y --no-install-recommends redis-server; noninteractive runlevel 1',
        '',
      ].join('\n'),
    );
    expect(told).toEqual(['Installing Redis with apt-get ...']);
  });

  test('that fails shows the words of the package manager', async () => {
    await addProgram('apt-get', 100);
    expect(await installRedis({ PATH: folder }, log, true)).toBe(false);
    expect(told[1]).toBe('apt-get update -qq failed:\nwords of apt-get');
    expect(told[2]).toMatch(/^apt-get .* install .* failed:\nwords of apt-get$/);
  });

  test('is not tried by a user who may not', async () => {
    await addProgram('apt-get');
    expect(await installRedis({ PATH: folder }, log, false)).toBe(false);
    expect(told).toEqual([]);
  });

  test('without any package manager is not tried', async () => {
    expect(await installRedis({ PATH: folder }, log, true)).toBe(false);
  });
});
