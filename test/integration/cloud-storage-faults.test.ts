import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { GcsStore } from '@riskmodel/core/storage/gcs.ts';
import type { ObjectInfo } from '@riskmodel/core/storage/object-store.ts';
import { CloudStorage } from '../harness/cloud-storage.ts';
import { FaultyProxy, type Fate } from '../harness/faulty-proxy.ts';

jest.setTimeout(120_000);

const base = 'gs://risk-faults';
const content = randomBytes((2 << 20) + 3);
/** Large enough for a resumable upload. */
const large = randomBytes(12 << 20);

let server: CloudStorage;
let proxy: FaultyProxy;
let folder: string;
/** Sees the faults. */
let store: GcsStore;
/** Sees none. */
let direct: GcsStore;
let object: ObjectInfo;

beforeAll(async () => {
  server = await CloudStorage.start();
  await server.createBucket('risk-faults');
  proxy = await FaultyProxy.start(server.url);
  folder = await mkdtemp(join(tmpdir(), 'cloud-storage-faults-'));
  const retry = { attempts: 4, firstPause: 1, longestPause: 5 };
  store = new GcsStore({ project: 'local', endpoint: proxy.url, tempDir: folder, retry, deadline: 2_000 });
  direct = new GcsStore({ project: 'local', endpoint: server.url, tempDir: folder });
  await direct.putFileIfAbsent(`${base}/content`, await file(content));
  object = (await direct.stat(`${base}/content`)) as ObjectInfo;
});

afterAll(async () => {
  await proxy.stop();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  proxy.calls.length = 0;
  proxy.decide = () => 'pass';
});

async function file(bytes: Buffer): Promise<string> {
  const path = join(folder, randomUUID());
  await writeFile(path, bytes);
  return path;
}

/** Does these things to the next calls, one after the other, and nothing to those that follow. */
function inflict(...fates: Fate[]): void {
  const first = proxy.calls.length;
  proxy.decide = ({ index }) => fates[index - first] ?? 'pass';
}

function denied(permission: string): unknown {
  return expect.objectContaining({
    code: 'PermissionDenied',
    retry: 'never',
    message: expect.stringMatching(new RegExp(`${permission} on the bucket risk-faults, such as by roles/storage`)),
  });
}

async function names(prefix: string): Promise<string[]> {
  const uris: string[] = [];
  for await (const { uri } of store.list(prefix)) uris.push(uri);
  return uris;
}

const passing: [name: string, fate: Fate][] = [
  ['a reset connection', 'reset'],
  ['a 503', { status: 503, body: 'try later' }],
  ['a 429', { status: 429 }],
  ['a 500 with a page of HTML', { status: 500, body: `<html>\n${'x'.repeat(10_000)}</html>` }],
  ['a lost reply', 'lose-reply'],
  ['a body that is cut off', { truncateAfter: 100 }],
  ['a body that ends early and looks whole', { truncateAfter: 100, quietly: true }],
  ['a body that comes slowly', { slow: 1 }],
];

describe.each(passing)('%s', (_, fate) => {
  test('while an object is looked up', async () => {
    inflict(fate);
    expect(await store.stat(object.uri)).toEqual(object);
  });

  test('while it is read: every byte comes, once', async () => {
    inflict(fate, fate);
    expect((await buffer(await store.read(object))).equals(content)).toBe(true);
  });

  test('while a part of it is read', async () => {
    const range = { start: 1_000, end: 1_500_000 };
    inflict(fate, fate);
    expect((await buffer(await store.read(object, range))).equals(content.subarray(range.start, range.end))).toBe(true);
  });

  test('while a small file is put', async () => {
    const uri = `${base}/${randomUUID()}`;
    inflict(fate, fate);
    expect(await store.putFileIfAbsent(uri, await file(content))).toBe(true);
    expect((await buffer(await direct.read((await direct.stat(uri)) as ObjectInfo))).equals(content)).toBe(true);
  });

  test.each([0, 1])('at call %d of putting a large one', async (call) => {
    const uri = `${base}/${randomUUID()}`;
    proxy.decide = ({ index }) => (index === call ? fate : 'pass');
    expect(await store.putFileIfAbsent(uri, await file(large))).toBe(true);
    expect((await buffer(await direct.read((await direct.stat(uri)) as ObjectInfo))).equals(large)).toBe(true);
  });

  test('while objects are listed', async () => {
    inflict(fate);
    expect(await names(`${base}/content`)).toEqual([object.uri]);
  });

  test('while one is deleted', async () => {
    const uri = `${base}/${randomUUID()}`;
    await direct.putFileIfAbsent(uri, await file(Buffer.from('x')));
    inflict(fate);
    await store.delete(uri);
    expect(await direct.stat(uri)).toBeUndefined();
  });
});

test.each([404, 410])('an upload whose session is gone (%d) is started anew', async (status) => {
  const uri = `${base}/${randomUUID()}`;
  proxy.decide = ({ index }) => (index === 1 ? { status } : 'pass');
  expect(await store.putFileIfAbsent(uri, await file(large))).toBe(true);
  expect((await direct.stat(uri))?.size).toBe(large.length);
});

test('a file is not taken for ours that another put while our answer was lost', async () => {
  const uri = `${base}/${randomUUID()}`;
  await direct.putFileIfAbsent(uri, await file(Buffer.from('theirs')));
  inflict('lose-reply');
  expect(await store.putFileIfAbsent(uri, await file(Buffer.from('ours')))).toBe(false);
  expect((await buffer(await direct.read((await direct.stat(uri)) as ObjectInfo))).toString()).toBe('theirs');
});

describe('a failure that does not pass', () => {
  test('is given up after some attempts, as one that may pass later', async () => {
    proxy.decide = () => ({ status: 503, body: 'overloaded' });
    const unavailable = expect.objectContaining({
      code: 'StorageUnavailable',
      retry: 'later',
      message: expect.stringContaining('503'),
    });
    await expect(store.stat(object.uri)).rejects.toEqual(unavailable);
    expect(proxy.calls).toHaveLength(4);
    await expect(store.read(object)).rejects.toEqual(unavailable);
    await expect(store.delete(object.uri)).rejects.toEqual(unavailable);
    await expect(names(`${base}/`)).rejects.toEqual(unavailable);
    await expect(store.putFileIfAbsent(`${base}/never`, await file(content))).rejects.toEqual(unavailable);
    await expect(store.putFileIfAbsent(`${base}/never`, await file(large))).rejects.toEqual(unavailable);
    expect(await direct.stat(`${base}/never`)).toBeUndefined();
  });

  test.each<[fate: Fate]>([[{ truncateAfter: 0 }], [{ truncateAfter: 0, quietly: true }], ['reset']])(
    'of a body of which nothing comes (%j) is no short read',
    async (fate) => {
      proxy.decide = () => fate;
      await expect(store.read(object).then(buffer)).rejects.toMatchObject({
        code: 'StorageUnavailable',
        retry: 'later',
      });
    },
  );

  test('in the middle of a read is an error where it is read', async () => {
    proxy.decide = ({ index }) => (index === 0 ? { truncateAfter: 1 << 20, quietly: true } : { status: 503 });
    await expect(store.read(object).then(buffer)).rejects.toMatchObject({ code: 'StorageUnavailable', retry: 'later' });
    await expect(store.openLocal(object)).rejects.toMatchObject({ code: 'StorageUnavailable' });
  });

  test('by permission names the bucket, the permission and a role, and is not tried again', async () => {
    proxy.decide = () => ({
      status: 403,
      body: '{"error": {"code": 403, "message": "no"}}',
      headers: { 'content-type': 'application/json' },
    });
    await expect(store.stat(object.uri)).rejects.toEqual(denied('storage.objects.get'));
    expect(proxy.calls).toHaveLength(1);
    await expect(store.read(object)).rejects.toEqual(denied('storage.objects.get'));
    await expect(store.delete(object.uri)).rejects.toEqual(denied('storage.objects.delete'));
    await expect(names(`${base}/`)).rejects.toEqual(denied('storage.objects.list'));
    for (const bytes of [content, large]) {
      await expect(store.putFileIfAbsent(`${base}/never`, await file(bytes))).rejects.toEqual(
        denied('storage.objects.create'),
      );
    }
  });

  test.each([content, large])('of a bucket that is not there is said so, by either upload', async (bytes) => {
    await expect(store.putFileIfAbsent('gs://no-such-bucket/a', await file(bytes))).rejects.toMatchObject({
      code: 'BucketNotFound',
      retry: 'never',
      message: 'gs://no-such-bucket/a: there is no bucket no-such-bucket',
    });
  });

  test('to answer at all ends with the deadline', async () => {
    const impatient = new GcsStore({
      endpoint: proxy.url,
      tempDir: folder,
      retry: { attempts: 2, firstPause: 1, longestPause: 1 },
      deadline: 100,
    });
    proxy.decide = () => ({ slow: 60_000, pieceBytes: 1 });
    await expect(impatient.read(object).then(buffer)).rejects.toMatchObject({ code: 'StorageUnavailable' });
    await expect(impatient.stat(object.uri)).rejects.toMatchObject({ code: 'StorageUnavailable' });
  });
});

test('content that is not what its checksum says is an error that may pass', async () => {
  const wrong = { ...object, crc32c: 'AAAAAA==' };
  await expect(store.read(wrong).then(buffer)).rejects.toMatchObject({ code: 'ObjectCorrupted', retry: 'later' });
  await expect(store.openLocal(wrong)).rejects.toMatchObject({ code: 'ObjectCorrupted', retry: 'later' });
});
