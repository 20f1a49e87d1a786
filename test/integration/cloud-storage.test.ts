import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Storage } from '@google-cloud/storage';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import { GcsStore } from '@riskmodel/core/storage/gcs.ts';
import type { ObjectInfo, ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { readRanges } from '@riskmodel/core/storage/testing/read-ranges.ts';
import { CloudStorage, storageClient } from '../harness/cloud-storage.ts';

jest.setTimeout(300_000);

/** A store with a bucket in it, and a way to write objects behind its back, as people and other programs do. */
interface Place {
  store: ObjectStore;
  bucket: string;
  /** Whether nobody else uses the bucket. */
  isOwn: boolean;
  write(uri: string, content: Buffer | string): Promise<void>;
  close(): Promise<void>;
}

async function openFolder(): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'folder-store-'));
  const store = new FolderStore(root);
  return {
    store,
    bucket: 'bucket',
    isOwn: true,
    write: async (uri, content) => {
      await mkdir(dirname(store.pathOf(uri)), { recursive: true });
      // Coarser than the clock of any file system's times.
      await sleep(25);
      await writeFile(store.pathOf(uri), content);
    },
    close: () => rm(root, { recursive: true, force: true }),
  };
}

function writer(storage: Storage): Place['write'] {
  return async (uri, content) => {
    const [bucket, ...path] = uri.slice('gs://'.length).split('/');
    await storage
      .bucket(bucket as string)
      .file(path.join('/'))
      .save(content, { resumable: false });
  };
}

async function openEmulator(): Promise<Place> {
  const server = await CloudStorage.start();
  const bucket = 'risk-input';
  await server.createBucket(bucket);
  const tempDir = await mkdtemp(join(tmpdir(), 'gcs-store-'));
  return {
    store: new GcsStore({ project: 'local', endpoint: server.url, tempDir }),
    bucket,
    isOwn: true,
    write: writer(storageClient({ projectId: 'local', apiEndpoint: server.url })),
    close: async () => {
      await server.stop();
      await rm(tempDir, { recursive: true, force: true });
    },
  };
}

/** A bucket of Google's, in a folder of the run's own. */
async function openGoogle(project: string, bucket: string): Promise<Place> {
  const tempDir = await mkdtemp(join(tmpdir(), 'gcs-store-'));
  return {
    store: new GcsStore({ project, tempDir }),
    bucket,
    isOwn: false,
    write: writer(storageClient({ projectId: project })),
    close: () => rm(tempDir, { recursive: true, force: true }),
  };
}

const { GCP_TEST_PROJECT: testProject, GCP_TEST_BUCKET: testBucket } = process.env;
const places: [name: string, open: () => Promise<Place>][] = [
  ['a folder', openFolder],
  ['Cloud Storage', openEmulator],
  ...(testProject && testBucket
    ? [['a bucket of Google', () => openGoogle(testProject, testBucket)] as [string, () => Promise<Place>]]
    : []),
];

describe.each(places)('an object store in %s', (_, open) => {
  let place: Place;
  let store: ObjectStore;
  let base: string;
  let files: string;

  beforeAll(async () => {
    place = await open();
    store = place.store;
    base = `gs://${place.bucket}/contract-${randomUUID().slice(0, 8)}`;
    files = await mkdtemp(join(tmpdir(), 'object-store-sources-'));
  });

  afterAll(async () => {
    for await (const { uri } of store.list(`${base}/`)) await store.delete(uri);
    await place.close();
    await rm(files, { recursive: true, force: true });
  });

  async function put(name: string, content: Buffer | string): Promise<ObjectInfo> {
    await place.write(`${base}/${name}`, content);
    return (await store.stat(`${base}/${name}`)) as ObjectInfo;
  }

  async function file(content: Buffer | string): Promise<string> {
    const path = join(files, randomUUID());
    await writeFile(path, content);
    return path;
  }

  async function read(object: ObjectInfo, range?: { start?: number; end?: number }): Promise<Buffer> {
    return buffer(await store.read(object, range));
  }

  async function list(prefix: string): Promise<string[]> {
    const names: string[] = [];
    for await (const { uri } of store.list(prefix)) names.push(uri.slice(base.length + 1));
    return names;
  }

  describe('an object', () => {
    test('has a size, and a generation that stays while it does', async () => {
      const object = await put('a', 'one');
      expect(object).toMatchObject({ uri: `${base}/a`, size: 3, generation: expect.any(String) });
      expect(await store.stat(object.uri)).toEqual(object);
      await expect(store.assertUnchanged(object)).resolves.toBeUndefined();
    });

    test.each(['ä ?#*%2f', 'with space/and+plus', 'a=b,c/day=2026-11-23', '[x]', "it's"])(
      'may be named %j',
      async (name) => {
        const object = await put(name, 'content');
        expect((await read(object)).toString()).toBe('content');
        expect(await list(`${base}/${name}`)).toEqual([name]);
        await store.delete(object.uri);
        expect(await store.stat(object.uri)).toBeUndefined();
      },
    );

    test('that is not there has no version, in a bucket that is there or not', async () => {
      expect(await store.stat(`${base}/none`)).toBeUndefined();
      expect(await store.stat('gs://no-such-bucket-of-riskmodel/none')).toBeUndefined();
      await expect(store.assertUnchanged({ uri: `${base}/none`, generation: '1', size: 1 })).rejects.toMatchObject({
        code: 'InputChanged',
      });
    });

    test('that was overwritten is not read in its old version', async () => {
      const old = await put('overwritten', 'one');
      const current = await put('overwritten', 'two');
      expect(current.generation).not.toBe(old.generation);
      const changed = expect.objectContaining({ code: 'InputChanged', retry: 'never' });
      await expect(store.assertUnchanged(old)).rejects.toEqual(changed);
      await expect(store.openLocal(old)).rejects.toEqual(changed);
      // A bucket may keep old versions; then the old content is what is read.
      const content = await read(old).catch((error: unknown) => error);
      if (Buffer.isBuffer(content)) expect(content.toString()).toBe('one');
      else expect(content).toEqual(changed);
      expect((await read(current)).toString()).toBe('two');
    });

    test('that was removed is said to be gone', async () => {
      const object = await put('removed', 'one');
      await store.delete(object.uri);
      const content = await read(object).catch((error: unknown) => error);
      if (!Buffer.isBuffer(content)) expect(content).toMatchObject({ code: 'NotFound', retry: 'never' });
      await expect(store.assertUnchanged(object)).rejects.toMatchObject({ code: 'InputChanged' });
    });

    test('of a URI that is none is refused', async () => {
      for (const uri of ['gs://bucket', 'gs://bucket/', 'file:///etc/passwd', 'gs://Bucket/a', '']) {
        const refused = expect.objectContaining({ code: 'InvalidUri', retry: 'never' });
        await expect(store.stat(uri)).rejects.toEqual(refused);
        await expect(store.read({ uri, generation: '1', size: 1 })).rejects.toEqual(refused);
        await expect(store.putFileIfAbsent(uri, await file('x'))).rejects.toEqual(refused);
        await expect(store.delete(uri)).rejects.toEqual(refused);
      }
    });
  });

  describe('a read', () => {
    let digits: ObjectInfo;
    beforeAll(async () => {
      digits = await put('digits', '0123456789');
    });

    test.each(readRanges)('of %j is %j', async (range, expected) => {
      expect((await read(digits, range)).toString()).toBe(expected);
    });

    test('of an empty object is empty', async () => {
      const object = await put('empty', '');
      expect(object.size).toBe(0);
      expect(await read(object)).toHaveLength(0);
    });

    test('of megabytes gives them in pieces, and they are the content', async () => {
      const content = randomBytes((3 << 20) + 17);
      const object = await put('large', content);
      const pieces: Buffer[] = [];
      for await (const piece of await store.read(object)) pieces.push(piece as Buffer);
      expect(pieces.length).toBeGreaterThan(1);
      expect(Buffer.concat(pieces).equals(content)).toBe(true);
      const range = { start: 1_000_001, end: 2_500_002 };
      expect((await read(object, range)).equals(content.subarray(range.start, range.end))).toBe(true);
    });

    test('that is given up does no harm', async () => {
      const object = await put('given-up', randomBytes(3 << 20));
      for await (const piece of await store.read(object)) {
        expect(piece).not.toHaveLength(0);
        break;
      }
      expect(await read(object)).toHaveLength(3 << 20);
    });

    test('of bytes that begin as gzip does gives them as they are', async () => {
      const gzipped = Buffer.from('1f8b0800000000000003abaa02002a3aa6a802000000', 'hex');
      const object = await put('some.json.gz', gzipped);
      expect((await read(object)).equals(gzipped)).toBe(true);
    });
  });

  test('a local copy has the content', async () => {
    const content = randomBytes(100_000);
    const copy = await store.openLocal(await put('copied', content));
    expect((await readFile(copy.path)).equals(content)).toBe(true);
    await copy.release();
  });

  describe('putting a file if there is no object', () => {
    test.each([0, 1, 100_000, 8 << 20, (8 << 20) + 1, 20_000_003])('puts %d bytes', async (size) => {
      const content = randomBytes(size);
      const uri = `${base}/put/x/${size}`;
      expect(await store.putFileIfAbsent(uri, await file(content))).toBe(true);
      const object = (await store.stat(uri)) as ObjectInfo;
      expect(object.size).toBe(size);
      expect((await read(object)).equals(content)).toBe(true);
    });

    test.each([3, 20_000_003])('leaves an object alone, with its generation, for one of %d bytes', async (size) => {
      const object = await put(`there-${size}`, 'old');
      expect(await store.putFileIfAbsent(object.uri, await file(randomBytes(size)))).toBe(false);
      expect(await store.stat(object.uri)).toEqual(object);
      expect((await read(object)).toString()).toBe('old');
    });

    test('by twenty at once has one winner, whose content is there whole', async () => {
      const uri = `${base}/contended`;
      const contents = Array.from({ length: 20 }, (__, i) => String.fromCharCode(97 + i).repeat(200_000));
      const sources = await Promise.all(contents.map(file));
      const won = await Promise.all(sources.map((source) => store.putFileIfAbsent(uri, source)));
      expect(won.filter(Boolean)).toHaveLength(1);
      const content = await read((await store.stat(uri)) as ObjectInfo);
      expect(content.toString() === contents[won.indexOf(true)]).toBe(true);
    });

    test('fails for a file that is not there', async () => {
      await expect(store.putFileIfAbsent(`${base}/nothing`, join(files, 'nothing'))).rejects.toMatchObject({
        code: 'ENOENT',
      });
      expect(await store.stat(`${base}/nothing`)).toBeUndefined();
    });
  });

  describe('a list', () => {
    test('is of all objects that begin so, in the order of their names', async () => {
      for (const name of ['b/2', 'b/10', 'a', 'b/1/x', 'b.txt', 'B', 'ä', 'bb/1']) await put(`list/${name}`, name);
      const names = ['B', 'a', 'b.txt', 'b/1/x', 'b/10', 'b/2', 'bb/1', 'ä'].map((name) => `list/${name}`);
      expect(await list(`${base}/list/`)).toEqual(names);
      expect(await list(`${base}/list/b/`)).toEqual(['list/b/1/x', 'list/b/10', 'list/b/2']);
      expect(await list(`${base}/list/b/1`)).toEqual(['list/b/1/x', 'list/b/10']);
      expect(await list(`${base}/list/b`)).toEqual(names.slice(2, 7));
    });

    test('of a whole bucket has its objects', async () => {
      if (!place.isOwn) return;
      const object = await put('in-bucket', 'x');
      expect(await list(`gs://${place.bucket}/`)).toContain(object.uri.slice(base.length + 1));
    });

    test('has what stat tells of each', async () => {
      const object = await put('listed/a', 'one');
      const objects: ObjectInfo[] = [];
      for await (const found of store.list(`${base}/listed/`)) objects.push(found);
      expect(objects).toEqual([object]);
    });

    test('of what is not there is empty', async () => {
      expect(await list(`${base}/none/`)).toEqual([]);
      expect(await list('gs://no-such-bucket-of-riskmodel/none/')).toEqual([]);
    });

    test('goes on beyond a page', async () => {
      if (!place.isOwn) return;
      const uris = Array.from({ length: 1_003 }, (__, i) => `${base}/many/${String(i).padStart(4, '0')}`);
      for (let at = 0; at < uris.length; at += 50) {
        await Promise.all(uris.slice(at, at + 50).map((uri) => place.write(uri, 'x')));
      }
      expect(await list(`${base}/many/`)).toHaveLength(uris.length);
    });
  });

  test('deleting takes the object and no other, and one that is not there is fine', async () => {
    await put('delete/1', 'x');
    await put('delete/11', 'x');
    await store.delete(`${base}/delete/1`);
    await store.delete(`${base}/delete/1`);
    await store.delete(`${base}/delete/never`);
    expect(await list(`${base}/delete/`)).toEqual(['delete/11']);
  });
});
