import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { validateRiskModel } from '../riskmodel/manifest.ts';
import type { RiskModel } from '../riskmodel/zz_generated.riskmodel.ts';
import { FolderStore } from '../storage/folder.ts';
import { decide, loadModel, type Model } from './model.ts';
import { openSession } from './session.ts';

const fixtures = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures');
const plain = join(fixtures, 'plain.onnx');
const sha256 = createHash('sha256').update(readFileSync(plain)).digest('hex');
const xgboost = join(fixtures, 'trees', 'xgboost-depth-8.ubj');
const xgboostSha256 = createHash('sha256').update(readFileSync(xgboost)).digest('hex');
const xgboostNames = ['income', 'age', 'utilisation', 'late_payments', 'loan_to_value'];
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

/** A manifest of the XGBoost model whose file has the names of its columns. */
function namedManifest(artifact: Partial<RiskModel['spec']['artifact']> = {}, names = xgboostNames): RiskModel {
  const manifest = manifestOf({ uri: pathToFileURL(xgboost).href, format: 'XGBoost', ...artifact });
  return {
    ...manifest,
    spec: { ...manifest.spec, features: names.map((name) => ({ name, type: 'Number', whenMissing: 'NaN' })) },
  };
}

async function load(manifest: RiskModel): Promise<Model> {
  const model = await loadModel(manifest, store, openSession);
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

describe('a model of another format is converted when it is loaded', () => {
  test('XGBoost; the digest is that of the file as it was published', async () => {
    const model = await load(namedManifest());
    expect(model).toMatchObject({ sha256: xgboostSha256, version: xgboostSha256.slice(0, 12) });
    expect(model.session).toMatchObject({ inputName: 'input', outputName: 'probabilities' });
    expect(await model.session.run(new Float32Array(5), 1)).toHaveLength(2);
  });

  test.each([
    ['lightgbm-nan.txt', xgboostNames, 'the names of the file'],
    ['lightgbm-doubles.txt', ['a', 'b', 'c', 'd', 'e'], 'any names, for LightGBM made up those of the file'],
  ])('LightGBM: %s with %j: %s', async (file, names) => {
    const uri = pathToFileURL(join(fixtures, 'trees', file)).href;
    const { session } = await load(namedManifest({ uri, format: 'LightGBM' }, names));
    expect(await session.run(new Float32Array(5).fill(Number.NaN), 1)).toHaveLength(2);
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
    [
      'for names that are in another order than in the file',
      namedManifest({}, ['age', 'income', 'utilisation', 'late_payments', 'loan_to_value']),
      'FeatureNameMismatch',
      'spec.features[0].name is "age", but the model\'s column 1 is "income": list the model\'s columns, in its order',
    ],
    [
      'for the number of features, converted or not',
      namedManifest({}, ['income', 'age']),
      'FeatureCountMismatch',
      'the model takes 5 features, but spec.features lists 2',
    ],
    [
      'for being of another format than the manifest says',
      namedManifest({ format: 'LightGBM' }),
      'MalformedModel',
      'the file is not of the format LightGBM; it looks like XGBoost',
    ],
    [
      'for the digest of a file that is to be converted',
      namedManifest({ sha256: '0'.repeat(64) }),
      'ArtifactDigestMismatch',
      `has the sha256 ${xgboostSha256}`,
    ],
  ])('%s', async (_, manifest, code, message) => {
    await expect(loadModel(manifest, store, openSession)).rejects.toMatchObject({
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
