import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FolderStore } from '../storage/folder.ts';
import { fetchArtifact } from './artifact.ts';

const content = Buffer.from('a model');
const sha256 = createHash('sha256').update(content).digest('hex');

let folder: string;
let store: FolderStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'artifact-'));
  store = new FolderStore(join(folder, 'buckets'));
  await mkdir(join(folder, 'buckets', 'models', 'v 1'), { recursive: true });
  await writeFile(store.pathOf('gs://models/v 1/model.onnx'), content);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('an artifact', () => {
  test('in a bucket is read whole, with its digest and generation', async () => {
    const uri = 'gs://models/v 1/model.onnx';
    const artifact = await fetchArtifact({ uri, format: 'ONNX' }, store);
    const generation = (await store.stat(uri))?.generation;
    expect(artifact).toEqual({ bytes: content, sha256, uri, generation });
    expect(generation).toBeDefined();
  });

  test('in a file is read whole, with its digest and no generation', async () => {
    const uri = pathToFileURL(join(folder, 'buckets', 'models', 'v 1', 'model.onnx')).href;
    expect(uri).toContain('v%201');
    expect(await fetchArtifact({ uri, format: 'ONNX' }, store)).toEqual({
      bytes: content,
      sha256,
      uri,
      generation: undefined,
    });
  });

  test('of the expected digest is accepted', async () => {
    const uri = 'gs://models/v 1/model.onnx';
    await expect(fetchArtifact({ uri, format: 'ONNX', sha256 }, store)).resolves.toMatchObject({ sha256 });
  });
});

describe('an artifact is refused', () => {
  test('when its digest is another: both are told, and trying again is in vain', async () => {
    const expected = sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const uri = 'gs://models/v 1/model.onnx';
    await expect(fetchArtifact({ uri, format: 'ONNX', sha256: expected }, store)).rejects.toMatchObject({
      code: 'ArtifactDigestMismatch',
      retry: 'never',
      message: `${uri} has the sha256 ${sha256}, but spec.artifact.sha256 is ${expected}: publish the right file, or correct the manifest`,
    });
  });

  test.each([
    ['object', 'gs://models/v1/model.onnx'],
    ['object in a bucket that is not there', 'gs://elsewhere/model.onnx'],
    ['folder of objects', 'gs://models/v 1'],
    ['file', 'file:///nowhere/at/all/model.onnx'],
  ])('when there is no such %s', async (_, uri) => {
    await expect(fetchArtifact({ uri, format: 'ONNX' }, store)).rejects.toMatchObject({
      code: 'ArtifactNotFound',
      retry: 'never',
      message: `spec.artifact.uri: ${uri} does not exist`,
    });
  });
});

describe('an artifact may be readable later', () => {
  test('when the store fails', async () => {
    const uri = 'gs://models/v 1/model.onnx';
    const reset = new Error('the connection was reset');
    const broken = new FolderStore(join(folder, 'buckets'));
    broken.read = async () => new Readable({ read: (): void => void 0 }).destroy(reset);
    await expect(fetchArtifact({ uri, format: 'ONNX' }, broken)).rejects.toMatchObject({
      code: 'ArtifactUnreadable',
      retry: 'later',
      message: `spec.artifact.uri: ${uri} can't be read: the connection was reset`,
    });
  });

  test('when the file is a folder so far', async () => {
    const uri = pathToFileURL(folder).href;
    await expect(fetchArtifact({ uri, format: 'ONNX' }, store)).rejects.toMatchObject({
      code: 'ArtifactUnreadable',
      retry: 'later',
    });
  });
});
