import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { apiKeyLine, hashApiKey, makeApiKey } from '@riskmodel/core/access/api-key.ts';
import { until } from '../testing/until.ts';
import { ApiKeys } from './api-keys.ts';

let folder: string;
let keys: ApiKeys | undefined;
let reads: ({ keys: number } | { error: unknown })[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keys-'));
  reads = [];
});
afterEach(async () => {
  keys?.close();
  await rm(folder, { recursive: true });
});

/** Tests say themselves when files are read again. */
async function open(path: string, pollMilliseconds = 3_600_000): Promise<ApiKeys> {
  keys = await ApiKeys.open(path, { onRead: (result) => void reads.push(result), pollMilliseconds });
  return keys;
}

async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await keys?.check();
}

const isKnown = (key: string): boolean => !('refused' in (keys as ApiKeys).authenticate(key));

describe('a file of keys', () => {
  let file: string;
  const oldKey = makeApiKey();
  const newKey = makeApiKey();

  beforeEach(async () => {
    file = join(folder, 'keys');
    await writeFile(file, `${apiKeyLine('web', oldKey)}\n`);
    await open(file);
  });

  test('knows its callers and nobody else', () => {
    expect(keys?.authenticate(oldKey)).toMatchObject({ name: 'web', method: 'api-key' });
    const others = ['', newKey, oldKey.slice(0, -1), `${oldKey} `, hashApiKey(oldKey).toString('hex')];
    for (const other of others) expect(keys?.authenticate(other)).toEqual({ refused: 'unknown key' });
  });

  test('is read again when it has changed: first both keys are accepted, then the new one alone', async () => {
    await writeFile(file, `${apiKeyLine('web', oldKey)}\n${apiKeyLine('web', newKey)}\n`);
    await settle();
    expect([isKnown(oldKey), isKnown(newKey)]).toEqual([true, true]);
    await writeFile(file, `${apiKeyLine('web', newKey)}\n`);
    await settle();
    expect([isKnown(oldKey), isKnown(newKey)]).toEqual([false, true]);
    expect(reads).toEqual([{ keys: 1 }, { keys: 2 }, { keys: 1 }]);
  });

  test('that is being written is not taken for what it will be', async () => {
    await writeFile(file, '');
    await keys?.check();
    expect(isKnown(oldKey)).toBe(true);
    await writeFile(file, `${apiKeyLine('web', oldKey)}\n${apiKeyLine('web', newKey)}\n`);
    await settle();
    expect(reads).toEqual([{ keys: 1 }, { keys: 2 }]);
  });

  test('that stays empty lets nobody in', async () => {
    await writeFile(file, '');
    await settle();
    expect(isKnown(oldKey)).toBe(false);
    expect(reads.at(-1)).toEqual({ keys: 0 });
  });

  test('with a line that is none leaves the keys as they were, and says so once', async () => {
    await writeFile(file, `web:${newKey}\n`);
    await settle();
    expect(isKnown(oldKey)).toBe(true);
    await writeFile(file, `${apiKeyLine('web', newKey)}\n`);
    await settle();
    expect(isKnown(newKey)).toBe(true);
    expect(reads).toEqual([{ keys: 1 }, { error: expect.objectContaining({ code: 'InvalidApiKeys' }) }, { keys: 1 }]);
  });

  test('that goes away leaves the keys as they were, and is read when it is back', async () => {
    await rm(file);
    await settle();
    expect(isKnown(oldKey)).toBe(true);
    await writeFile(file, `${apiKeyLine('web', oldKey)}\n`);
    await settle();
    expect(reads).toEqual([{ keys: 1 }, { error: expect.anything() }, { keys: 1 }]);
  });

  test('is read every so often by itself, until it is closed', async () => {
    keys?.close();
    const watching = await open(file, 1);
    await writeFile(file, `${apiKeyLine('web', newKey)}\n`);
    await until(() => isKnown(newKey));
    watching.close();
  });
});

test('a folder as Kubernetes mounts Secrets: links to ..data, which is exchanged as a whole', async () => {
  const [oldKey, newKey, other] = [makeApiKey(), makeApiKey(), makeApiKey()];
  const write = async (version: string, files: Record<string, string>): Promise<void> => {
    await mkdir(join(folder, version));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, version, name), text);
    await symlink(version, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  await write('..1', { web: hashApiKey(oldKey).toString('hex'), more: apiKeyLine('nightly', other, ['batch']) });
  for (const name of ['web', 'more']) await symlink(join('..data', name), join(folder, name));
  const opened = await open(folder);
  expect(opened.authenticate(oldKey)).toMatchObject({ name: 'web' });
  expect(opened.authenticate(other)).toMatchObject({ name: 'nightly', roles: new Set(['batch']) });

  await write('..2', { web: hashApiKey(newKey).toString('hex'), more: '' });
  await settle();
  expect(isKnown(newKey)).toBe(true);
  expect(isKnown(oldKey)).toBe(false);
  expect(isKnown(other)).toBe(false);
});

test('without keys to begin with there is no start', async () => {
  await expect(open(join(folder, 'nothing'))).rejects.toMatchObject({
    code: 'InvalidConfig',
    message: expect.stringMatching(/^RISKMODEL_API_KEYS_FILE: can't be read: .*ENOENT/),
  });
  await writeFile(join(folder, 'keys'), 'web:secret');
  await expect(open(join(folder, 'keys'))).rejects.toMatchObject({ code: 'InvalidApiKeys' });
});
