import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { validateRiskModel } from '../riskmodel/manifest.ts';
import type { RiskModel } from '../riskmodel/zz_generated.riskmodel.ts';
import { FolderStore } from '../storage/folder.ts';
import { decide, loadModel, type Model } from './model.ts';

const fixtures = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures');
const plain = join(fixtures, 'plain.onnx');
const sha256 = createHash('sha256').update(readFileSync(plain)).digest('hex');
const store = new FolderStore(join(fixtures, 'no-buckets'));
const loaded: Model[] = [];

afterEach(async () => {
  for (const { session } of loaded.splice(0)) await session.release();
});

function manifestOf(artifact: Partial<RiskModel['spec']['artifact']> = {}, features = 4): RiskModel {
  const { model, problems } = validateRiskModel({
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name: 'credit' },
    spec: {
      artifact: { uri: pathToFileURL(plain).href, format: 'ONNX', ...artifact },
      features: Array.from({ length: features }, (_, i) => ({ name: `F${i}`, type: 'Number' })),
    },
  });
  expect(problems).toEqual([]);
  return model as RiskModel;
}

async function load(manifest: RiskModel): Promise<Model> {
  const model = await loadModel(manifest, store);
  loaded.push(model);
  return model;
}

describe('a loaded model', () => {
  test('has the name, the manifest and what scoring needs', async () => {
    const manifest = manifestOf({ version: '2024-06 (approved)' });
    const model = await load(manifest);
    expect(model).toMatchObject({ name: 'credit', version: '2024-06 (approved)', sha256, manifest });
    const matrix = new Float32Array(model.encoder.width);
    expect(model.encoder.encodeRecord({ F0: 1, F1: 2, F2: 3, F3: 4 }, matrix, 0)).toBeUndefined();
    expect(await model.session.run(matrix, 1)).toHaveLength(2);
  });

  test('has the first 12 digits of its digest for a version when the manifest gives none', async () => {
    expect((await load(manifestOf())).version).toBe(sha256.slice(0, 12));
  });
});

describe('a model is refused', () => {
  test.each<[why: string, manifest: RiskModel, code: string, message: string]>([
    [
      'for its digest',
      manifestOf({ sha256: '0'.repeat(64) }),
      'ArtifactDigestMismatch',
      `has the sha256 ${sha256}, but spec.artifact.sha256 is 0000`,
    ],
    ['when there is none', manifestOf({ uri: 'gs://models/a.onnx' }), 'ArtifactNotFound', 'a.onnx does not exist'],
    ['for the number of features', manifestOf({}, 5), 'FeatureCountMismatch', 'takes 4 features'],
    [
      'for the content',
      manifestOf({ uri: pathToFileURL(join(fixtures, 'README.md')).href }),
      'UnsupportedModel',
      "can't be loaded as an ONNX model",
    ],
    ['for XGBoost', manifestOf({ format: 'XGBoost' }), 'UnsupportedFormat', 'spec.artifact.format: XGBoost is not'],
    ['for LightGBM', manifestOf({ format: 'LightGBM' }), 'UnsupportedFormat', 'spec.artifact.format: LightGBM is not'],
  ])('%s', async (_, manifest, code, message) => {
    await expect(loadModel(manifest, store)).rejects.toMatchObject({
      code,
      retry: 'never',
      message: expect.stringContaining(message),
    });
  });
});

test.each([
  [0.25, 0.25, 0, 'the threshold itself is not above it'],
  [Math.fround(0.1), 0.1, 1, 'the probability is a float32, the threshold a double: fround(0.1) is above 0.1'],
  [Math.fround(0.7), 0.7, 0, 'fround(0.7) is below 0.7'],
  [0, 0, 0, 'nothing is above a threshold of 0 but what is more than 0'],
  [1, 1, 0, 'nothing is above a threshold of 1'],
  [Number.NaN, 0.25, 0, 'NaN is above nothing'],
] as const)('prob_1 %p with the threshold %p is class %p: %s', (prob1, threshold, decision, why) => {
  expect({ why, decision: decide(prob1, threshold) }).toEqual({ why, decision });
});
