import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';

/** What `link` answers when source and target are not in the same folder, and when they are. */
let codes: { across: string | undefined; within: string | undefined };

jest.unstable_mockModule('node:fs/promises', () => ({
  ...fs,
  link: async (from: string, to: string): Promise<void> => {
    const code = dirname(from) === dirname(to) ? codes.within : codes.across;
    if (code !== undefined) throw Object.assign(new Error(`${code}: link '${from}' -> '${to}'`), { code });
    await fs.link(from, to);
  },
}));
const { FolderStore } = await import('./folder.ts');

let folder: string;
let store: InstanceType<typeof FolderStore>;

beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), 'across-'));
  await fs.mkdir(join(folder, 'sources'));
  store = new FolderStore(join(folder, 'buckets'));
});

afterEach(() => fs.rm(folder, { recursive: true, force: true }));

async function source(name: string, content: string): Promise<string> {
  const file = join(folder, 'sources', name);
  await fs.writeFile(file, content);
  return file;
}

test.each([
  ['on another file system', 'EXDEV'],
  ["that is somebody else's, of which the kernel allows no link", 'EPERM'],
])('a file %s is put as a copy, and the source stays', async (_, across) => {
  codes = { across, within: undefined };
  const file = await source('a', 'one');
  expect(await store.putFileIfAbsent('gs://bucket/f/a', file)).toBe(true);
  expect(await store.putFileIfAbsent('gs://bucket/f/a', await source('b', 'two'))).toBe(false);
  expect(await fs.readFile(store.pathOf('gs://bucket/f/a'), 'utf8')).toBe('one');
  expect(await fs.readFile(file, 'utf8')).toBe('one');
  expect(await fs.readdir(join(folder, 'buckets', 'bucket', 'f'))).toEqual(['a']);
});

test('twenty at once have one winner, whose content is there whole, and leave nothing else', async () => {
  codes = { across: 'EXDEV', within: undefined };
  for (let round = 0; round < 5; round++) {
    const uri = `gs://bucket/round-${round}/contended`;
    const contents = Array.from({ length: 20 }, (_, i) => String.fromCharCode(97 + i).repeat(200_000 + i));
    const won = await Promise.all(
      contents.map(async (content, i) => store.putFileIfAbsent(uri, await source(`${round}-${i}`, content))),
    );
    expect(won.filter(Boolean)).toHaveLength(1);
    const content = await fs.readFile(store.pathOf(uri), 'utf8');
    expect(content === contents[won.indexOf(true)]).toBe(true);
    expect(await fs.readdir(join(folder, 'buckets', 'bucket', `round-${round}`))).toEqual(['contended']);
  }
});

test('a name that leaves no room for an ending can be put too', async () => {
  codes = { across: 'EXDEV', within: undefined };
  const uri = `gs://bucket/${'n'.repeat(255)}`;
  expect(await store.putFileIfAbsent(uri, await source('a', 'one'))).toBe(true);
  expect(await fs.readFile(store.pathOf(uri), 'utf8')).toBe('one');
});

test('a file system without links is an error, which ends', async () => {
  codes = { across: 'EPERM', within: 'EPERM' };
  const put = store.putFileIfAbsent('gs://bucket/f/a', await source('a', 'one'));
  await expect(put).rejects.toMatchObject({ code: 'EPERM' });
  expect(await fs.readdir(join(folder, 'buckets', 'bucket', 'f'))).toEqual([]);
});
