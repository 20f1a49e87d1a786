import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openSession } from '@riskmodel/core/model/session.ts';
import { validateRiskModel } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import { ModelCache } from './model-cache.ts';

const plain = readFileSync(join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'plain.onnx'));
const uri = 'gs://models/plain.onnx';

let folder: string;
let store: FolderStore;
/** How often a model was fetched. */
let fetched: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'model-cache-'));
  store = new FolderStore(folder);
  fetched = 0;
  const stat = store.stat.bind(store);
  store.stat = (uri) => {
    fetched++;
    return stat(uri);
  };
  await publish();
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function publish(): Promise<void> {
  await mkdir(dirname(store.pathOf(uri)), { recursive: true });
  await writeFile(store.pathOf(uri), plain);
}

function manifestOf(name: string, spec: { version?: string; maximum?: number; threshold?: number } = {}): RiskModel {
  const { version = '1', maximum = 9, threshold = 0.5 } = spec;
  const { model, problems } = validateRiskModel({
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name },
    spec: {
      artifact: { uri, format: 'ONNX', version },
      features: Array.from({ length: 4 }, (_, i) => ({ name: `F${i}`, type: 'Number', maximum })),
      decision: { threshold },
    },
  });
  expect(problems).toEqual([]);
  return model as RiskModel;
}

test('a model is loaded once, however many want it at once and later', async () => {
  const cache = new ModelCache(store, openSession);
  const models = await Promise.all(Array.from({ length: 5 }, () => cache.load(manifestOf('credit'))));
  models.push(await cache.load(manifestOf('credit')));
  expect(new Set(models).size).toBe(1);
  expect(fetched).toBe(1);
});

test.each<[why: string, manifest: RiskModel]>([
  ['the name', manifestOf('fraud')],
  ['the version', manifestOf('credit', { version: '2' })],
  ["a feature's range", manifestOf('credit', { maximum: 8 })],
])('a manifest that differs in %s is a model of its own', async (_, manifest) => {
  const cache = new ModelCache(store, openSession);
  const [first, second] = [await cache.load(manifestOf('credit')), await cache.load(manifest)];
  expect(second).not.toBe(first);
  expect(second).toMatchObject({
    name: manifest.metadata.name,
    version: manifest.spec.artifact.version,
    manifest: { spec: { features: manifest.spec.features } },
  });
});

test('a manifest that differs in what scoring does not read is the same model', async () => {
  const cache = new ModelCache(store, openSession);
  expect(await cache.load(manifestOf('credit', { threshold: 0.9 }))).toBe(await cache.load(manifestOf('credit')));
});

test('a failure is told to all who wait and not remembered', async () => {
  const cache = new ModelCache(store, openSession);
  await rm(store.pathOf(uri));
  const failed = await Promise.allSettled([cache.load(manifestOf('credit')), cache.load(manifestOf('credit'))]);
  for (const result of failed) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ArtifactNotFound' } });
  }
  expect(fetched).toBe(1);
  await publish();
  const model = await cache.load(manifestOf('credit'));
  expect(model.name).toBe('credit');
  expect(await cache.load(manifestOf('credit'))).toBe(model);
  expect(fetched).toBe(2);
});

test('the model that was not used for longest makes room, and can still be scored with', async () => {
  const cache = new ModelCache(store, openSession, 2);
  const a = await cache.load(manifestOf('a'));
  const b = await cache.load(manifestOf('b'));
  await cache.load(manifestOf('a'));
  await cache.load(manifestOf('c'));
  expect(fetched).toBe(3);
  expect(await cache.load(manifestOf('a'))).toBe(a);
  expect(fetched).toBe(3);
  expect(await b.session.run(new Float32Array(4), 1)).toHaveLength(2);
  expect(await cache.load(manifestOf('b'))).not.toBe(b);
  expect(fetched).toBe(4);
});
