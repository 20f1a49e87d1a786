import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { FolderStore } from './folder.ts';
import { findObjects, namesSeveral } from './object-pattern.ts';

let root: string;
let store: FolderStore;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'object-pattern-'));
  store = new FolderStore(root);
  const names = ['day=1/a.csv', 'day=1/b.csv', 'day=1/b.json', 'day=1/x/c.csv', 'day=1/_SUCCESS', 'day=1/.a.crc'];
  for (const name of [...names, 'day=10/d.csv', 'day=2/e.csv', 'top.csv', 'star*.csv', 'starry.csv', 'a+b/(1).csv']) {
    const file = store.pathOf(`gs://bucket/${name}`);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, 'x');
  }
});

afterAll(() => rm(root, { recursive: true, force: true }));

test.each<[pattern: string, names: string[]]>([
  ['day=1/', ['day=1/a.csv', 'day=1/b.csv', 'day=1/b.json', 'day=1/x/c.csv']],
  ['day=1/*.csv', ['day=1/a.csv', 'day=1/b.csv']],
  ['day=1/**.csv', ['day=1/a.csv', 'day=1/b.csv', 'day=1/x/c.csv']],
  ['day=1*/*.csv', ['day=1/a.csv', 'day=1/b.csv', 'day=10/d.csv']],
  ['*/e.csv', ['day=2/e.csv']],
  ['*.csv', ['star*.csv', 'starry.csv', 'top.csv']],
  ['day=1/a.csv', ['day=1/a.csv']],
  // The object of this very name, and not what its star would match.
  ['star*.csv', ['star*.csv']],
  ['a+b/(*).csv', ['a+b/(1).csv']],
  ['day=1', []],
  ['none/', []],
  ['none/*.csv', []],
  ['day=1/_SUCCESS', ['day=1/_SUCCESS']],
])('gs://bucket/%s names %j', async (pattern, names) => {
  const uris: string[] = [];
  for await (const object of findObjects(`gs://bucket/${pattern}`, store)) {
    expect(object).toEqual(await store.stat(object.uri));
    uris.push(object.uri);
  }
  expect(uris).toEqual(names.map((name) => `gs://bucket/${name}`));
});

test('a URI that ends with a slash or has a star may name several', () => {
  expect(['gs://b/a', 'gs://b/a/', 'gs://b/*', 'gs://b/a/**.csv'].map(namesSeveral)).toEqual([false, true, true, true]);
});
