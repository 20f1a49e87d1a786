import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FolderStore } from './folder.ts';
import type { ObjectInfo } from './object-store.ts';
import { readRanges } from './testing/read-ranges.ts';

let root: string;
let store: FolderStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'folder-store-'));
  store = new FolderStore(root);
});

afterEach(() => rm(root, { recursive: true, force: true }));

/** Writes an object behind the store's back, as people and other programs do. */
async function write(uri: string, content: string): Promise<void> {
  const file = store.pathOf(uri);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

async function put(uri: string, content: string): Promise<ObjectInfo> {
  await write(uri, content);
  return (await store.stat(uri)) as ObjectInfo;
}

async function list(prefix: string): Promise<string[]> {
  const uris: string[] = [];
  for await (const { uri } of store.list(prefix)) uris.push(uri);
  return uris;
}

describe('a URI', () => {
  test.each([
    ['gs://bucket/a/b.json', 'bucket/a/b.json', 'a path is folders and a file'],
    ['gs://bucket/%2e%2e/b', 'bucket/%2e%2e/b', 'nothing is decoded: percent signs are part of the name'],
    ['gs://bucket/..%2fb', 'bucket/..%2fb', 'nothing is decoded: percent signs are part of the name'],
    [String.raw`gs://bucket/..\b`, String.raw`bucket/..\b`, 'a backslash is part of the name'],
    ['gs://bucket/...', 'bucket/...', 'three dots are a name'],
    ['gs://bucket/a/../b', 'bucket/b', 'dots that stay in the bucket do no harm'],
    ['gs://bucket/ä ?#*', 'bucket/ä ?#*', 'any character may be in a name'],
  ])('%s is the file %s: %s', (uri, file, why) => {
    expect({ why, file: store.pathOf(uri) }).toEqual({ why, file: join(root, file) });
  });

  test.each([
    ['gs://bucket/../other/b', 'leads to another bucket'],
    ['gs://bucket/../../etc/passwd', 'leads out of all buckets'],
    ['gs://bucket/a/../../../etc/passwd', 'leads out by a detour'],
    ['gs://bucket/..', 'is the folder of all buckets'],
    ['gs://bucket/.', 'is the bucket itself'],
    ['gs://bucket//etc/passwd', 'is an absolute path'],
    ['gs://bucket/a\0.json', 'has a NUL, at which C ends the name'],
    ['gs://bucket/a\nb', 'has a line break'],
    ['gs://bucket/', 'has no path'],
    ['gs://bucket', 'has no path'],
    ['gs://../bucket/a', 'has no bucket'],
    ['gs://.hidden/a', 'has a bucket that begins with a dot'],
    ['gs://Bucket/a', 'has capitals in the bucket'],
    ['gs://bu cket/a', 'has a space in the bucket'],
    ['file:///etc/passwd', 'is none of an object'],
    ['/etc/passwd', 'is a path'],
    ['', 'is empty'],
  ])('%j is refused: it %s', async (uri) => {
    const refused = expect.objectContaining({ code: 'InvalidUri', retry: 'never' });
    await expect(store.stat(uri)).rejects.toEqual(refused);
    await expect(store.read({ uri, generation: '1', size: 1 })).rejects.toEqual(refused);
    await expect(store.putFileIfAbsent(uri, import.meta.filename)).rejects.toEqual(refused);
    await expect(store.delete(uri)).rejects.toEqual(refused);
    // Of a whole bucket there is a list.
    if (uri !== 'gs://bucket/') await expect(list(uri)).rejects.toEqual(refused);
    expect(await readdir(root)).toEqual([]);
  });
});

describe('an object that is not there', () => {
  test.each([
    ['in no bucket', 'gs://nowhere/a'],
    ['in no folder', 'gs://bucket/none/a'],
    ['below a file', 'gs://bucket/file/a'],
    ['that is a folder', 'gs://bucket/folder'],
    ['of a name longer than a file may have', `gs://bucket/${'n'.repeat(300)}`],
    ['below a name longer than a folder may have', `gs://bucket/${'n'.repeat(300)}/a`],
    ['of a path longer than any may be', `gs://bucket/${'folder/'.repeat(1000)}a`],
  ])('%s', async (_, uri) => {
    await write('gs://bucket/file', 'x');
    await write('gs://bucket/folder/b', 'x');
    expect(await store.stat(uri)).toBeUndefined();
    const known = { uri, generation: '1', size: 1 };
    await expect(store.assertUnchanged(known)).rejects.toMatchObject({ code: 'InputChanged' });
    await expect(store.openLocal(known)).rejects.toMatchObject({ code: 'InputChanged' });
  });
});

describe('a generation', () => {
  test('stays while the object does', async () => {
    const object = await put('gs://bucket/a', 'one');
    expect(await store.stat('gs://bucket/a')).toEqual(object);
    expect(object).toEqual({ uri: 'gs://bucket/a', generation: expect.any(String), size: 3 });
    await expect(store.assertUnchanged(object)).resolves.toBeUndefined();
  });

  test.each<[how: string, overwrite: (file: string) => Promise<void>]>([
    ['with more', (file) => writeFile(file, 'three')],
    [
      'with as much, in the same file',
      async (file) => {
        // Coarser than the clock of any file system's times.
        await sleep(25);
        await writeFile(file, 'two');
      },
    ],
    [
      'with as much, moved here with the time of the old one',
      async (file) => {
        const { atime, mtime } = await stat(file);
        await writeFile(`${file}.new`, 'two');
        await utimes(`${file}.new`, atime, mtime);
        await rename(`${file}.new`, file);
      },
    ],
  ])('is another one once the object is overwritten %s, and the old one can not be read', async (_, overwrite) => {
    await put('gs://bucket/a', 'one');
    // A time that `utimes` can give again: it knows no nanoseconds.
    await utimes(store.pathOf('gs://bucket/a'), 1_700_000_000, 1_700_000_000);
    const old = (await store.stat('gs://bucket/a')) as ObjectInfo;
    await overwrite(store.pathOf('gs://bucket/a'));
    const current = (await store.stat('gs://bucket/a')) as ObjectInfo;
    expect(current.generation).not.toBe(old.generation);
    const changed = expect.objectContaining({ code: 'InputChanged', retry: 'never' });
    await expect(store.read(old)).rejects.toEqual(changed);
    await expect(store.openLocal(old)).rejects.toEqual(changed);
    await expect(store.assertUnchanged(old)).rejects.toEqual(changed);
    await expect(store.read(current).then(buffer)).resolves.toHaveLength(current.size);
  });

  test('of a removed object: reading it says that it is gone', async () => {
    const object = await put('gs://bucket/a', 'one');
    await store.delete(object.uri);
    await expect(store.read(object)).rejects.toMatchObject({
      code: 'NotFound',
      message: 'gs://bucket/a does not exist',
    });
    await expect(store.assertUnchanged(object)).rejects.toMatchObject({ code: 'InputChanged' });
  });
});

describe('a read', () => {
  test.each(readRanges)('of %j is %j', async (range, expected) => {
    const object = await put('gs://bucket/digits', '0123456789');
    expect((await buffer(await store.read(object, range))).toString()).toBe(expected);
  });

  test('of an empty object is empty', async () => {
    const object = await put('gs://bucket/empty', '');
    expect(object.size).toBe(0);
    expect(await buffer(await store.read(object))).toHaveLength(0);
  });

  test('in pieces gives the whole', async () => {
    const content = 'x'.repeat((1 << 20) - 1) + 'y'.repeat(1 << 20);
    const object = await put('gs://bucket/large', content);
    const pieces: Buffer[] = [];
    for await (const piece of await store.read(object)) pieces.push(piece as Buffer);
    expect(pieces.length).toBeGreaterThan(1);
    expect(Buffer.concat(pieces).equals(Buffer.from(content))).toBe(true);
  });
});

test('a local copy is the object itself', async () => {
  const object = await put('gs://bucket/a', 'one');
  const copy = await store.openLocal(object);
  expect(await readFile(copy.path, 'utf8')).toBe('one');
  await copy.release();
  expect(await store.stat('gs://bucket/a')).toEqual(object);
});

describe('putting a file if there is no object', () => {
  let sources: string;
  beforeEach(async () => {
    sources = await mkdtemp(join(tmpdir(), 'folder-store-sources-'));
  });
  afterEach(() => rm(sources, { recursive: true, force: true }));

  test('puts it, in folders that were not there', async () => {
    const source = join(sources, 'a');
    await writeFile(source, 'one');
    expect(await store.putFileIfAbsent('gs://new-bucket/x/y/a', source)).toBe(true);
    expect(await readFile(join(root, 'new-bucket', 'x', 'y', 'a'), 'utf8')).toBe('one');
  });

  test('leaves an object alone, with its generation', async () => {
    const object = await put('gs://bucket/a', 'old');
    const source = join(sources, 'a');
    await writeFile(source, 'new');
    expect(await store.putFileIfAbsent('gs://bucket/a', source)).toBe(false);
    expect(await store.stat('gs://bucket/a')).toEqual(object);
    expect(await readFile(store.pathOf('gs://bucket/a'), 'utf8')).toBe('old');
  });

  test('keeps the generation when the file that was put is removed', async () => {
    const source = join(sources, 'a');
    await writeFile(source, 'one');
    await store.putFileIfAbsent('gs://bucket/a', source);
    const object = (await store.stat('gs://bucket/a')) as ObjectInfo;
    await rm(source);
    await expect(store.assertUnchanged(object)).resolves.toBeUndefined();
  });

  test('by twenty at once has one winner, whose content is there whole', async () => {
    for (let round = 0; round < 5; round++) {
      const uri = `gs://bucket/round-${round}/contended`;
      const contents = Array.from({ length: 20 }, (_, i) => String.fromCharCode(97 + i).repeat(200_000));
      const won = await Promise.all(
        contents.map(async (content, i) => {
          const source = join(sources, `${round}-${i}`);
          await writeFile(source, content);
          return store.putFileIfAbsent(uri, source);
        }),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      const content = await readFile(store.pathOf(uri), 'utf8');
      expect(content === contents[won.indexOf(true)]).toBe(true);
    }
  });

  test('does not mind that its folder is emptied and removed meanwhile', async () => {
    const source = join(sources, 'a');
    await writeFile(source, 'one');
    for (let round = 0; round < 50; round++) {
      await put('gs://bucket/one/two/three/other', 'x');
      const [put_] = await Promise.all([
        store.putFileIfAbsent('gs://bucket/one/two/three/a', source),
        store.delete('gs://bucket/one/two/three/other'),
      ]);
      expect(put_).toBe(true);
      await store.delete('gs://bucket/one/two/three/a');
    }
  });

  test.each([
    ['a source that is not there', 'gs://bucket/a', 'nothing', 'ENOENT'],
    ['a name longer than a file may have', `gs://bucket/${'n'.repeat(300)}`, 'a', 'ENAMETOOLONG'],
    ['a folder longer than one may be', `gs://bucket/${'n'.repeat(300)}/a`, 'a', 'ENAMETOOLONG'],
    ['a folder that is a file', 'gs://bucket/file/a', 'a', /ENOTDIR|EEXIST/],
    ['a folder that is a link to nowhere', 'gs://bucket/dangling/a', 'a', 'ENOENT'],
  ])('fails for %s', async (_, uri, source, code) => {
    await mkdir(join(root, 'bucket'), { recursive: true });
    await symlink('nowhere', join(root, 'bucket', 'dangling'));
    await write('gs://bucket/file', 'x');
    await writeFile(join(sources, 'a'), 'one');
    await expect(store.putFileIfAbsent(uri, join(sources, source))).rejects.toMatchObject({
      code: typeof code === 'string' ? code : expect.stringMatching(code),
    });
  });
});

describe('a list', () => {
  test('is of all objects under the prefix, in the order of their names', async () => {
    for (const name of ['b/2', 'b/10', 'a', 'b/1/x', 'b.txt', 'B', 'ä', 'bb/1'])
      await put(`gs://bucket/f/${name}`, name);
    await put('gs://bucket/other', 'x');
    await mkdir(join(root, 'bucket', 'f', 'empty-folder'));
    const names = ['B', 'a', 'b.txt', 'b/1/x', 'b/10', 'b/2', 'bb/1', 'ä'];
    expect(await list('gs://bucket/f/')).toEqual(names.map((name) => `gs://bucket/f/${name}`));
    expect(await list('gs://bucket/f/b/')).toEqual(['gs://bucket/f/b/1/x', 'gs://bucket/f/b/10', 'gs://bucket/f/b/2']);
  });

  test('has what stat tells of each', async () => {
    const object = await put('gs://bucket/f/a', 'one');
    const objects: ObjectInfo[] = [];
    for await (const found of store.list('gs://bucket/f/')) objects.push(found);
    expect(objects).toEqual([object]);
  });

  test('of what is not there is empty', async () => {
    expect(await list('gs://nowhere/f/')).toEqual([]);
    await put('gs://bucket/file', 'x');
    expect(await list('gs://bucket/file/')).toEqual([]);
  });
});

describe('deleting', () => {
  test('takes emptied folders along, up to the first that is not, and never the bucket', async () => {
    await put('gs://bucket/a/b/c/1', 'x');
    await put('gs://bucket/a/2', 'x');
    await store.delete('gs://bucket/a/b/c/1');
    expect(await readdir(join(root, 'bucket', 'a'))).toEqual(['2']);
    await store.delete('gs://bucket/a/2');
    expect(await readdir(join(root, 'bucket'))).toEqual([]);
  });

  test('what is not there is fine', async () => {
    await put('gs://bucket/a/1', 'x');
    for (const name of ['2', 'a/2', 'b/c/d', 'n'.repeat(300)]) await store.delete(`gs://bucket/${name}`);
    expect(await list('gs://bucket/a/')).toEqual(['gs://bucket/a/1']);
  });

  test('everything listed leaves an empty bucket', async () => {
    for (const name of ['a', 'b/1', 'b/2', 'b/c/3']) await put(`gs://bucket/f/${name}`, name);
    for await (const { uri } of store.list('gs://bucket/f/')) await store.delete(uri);
    expect(await readdir(join(root, 'bucket'))).toEqual([]);
  });
});
