import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readManifests } from './manifest-files.ts';

function manifest(name: string, uri: string): string {
  return `apiVersion: riskmodel.io/v1alpha1
kind: RiskModel
metadata: {name: ${name}}
spec:
  artifact: {uri: "${uri}", format: ONNX}
  features: [{name: AGE, type: Integer}]
`;
}

function jsonManifest(name: string): string {
  return JSON.stringify({
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name },
    spec: {
      artifact: { uri: 'gs://bucket/a.onnx', format: 'ONNX' },
      features: [{ name: 'AGE', type: 'Integer' }],
    },
  });
}

describe('readManifests', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'manifests-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('takes a path beside the manifest for a file there, and leaves URIs as they are', async () => {
    await mkdir(join(folder, 'models'));
    await writeFile(join(folder, 'models', 'b.yaml'), manifest('b', 'gs://bucket/b.onnx'));
    await writeFile(join(folder, 'models', 'a.yml'), manifest('a', './a.onnx'));
    await writeFile(join(folder, 'models', '..data.yaml'), 'not a manifest');
    const models = await readManifests([join(folder, 'models')]);
    expect(models.map(({ metadata, spec }) => [metadata.name, spec.artifact.uri])).toEqual([
      ['a', pathToFileURL(join(folder, 'models', 'a.onnx')).href],
      ['b', 'gs://bucket/b.onnx'],
    ]);
  });

  test('refuses a name that two files give, telling both', async () => {
    const files = ['1.yaml', '2.yaml'].map((name) => join(folder, name));
    for (const file of files) await writeFile(file, manifest('same', 'gs://bucket/b.onnx'));
    await expect(readManifests(files)).rejects.toThrow(`duplicate "same" (first in ${files[0]})`);
  });

  test('takes the same name from a folder and from a file in it for two', async () => {
    await writeFile(join(folder, 'a.yaml'), manifest('a', 'gs://bucket/a.onnx'));
    await expect(readManifests([folder, join(folder, 'a.yaml')])).rejects.toThrow(
      /duplicate "a" \(first in .*a\.yaml\)/,
    );
  });

  test('keeps the order in which files are given, several models in one file included', async () => {
    const both = `${manifest('c', 'gs://bucket/c.onnx')}---\n${manifest('b', 'b.onnx')}`;
    await writeFile(join(folder, '1.yaml'), both);
    await writeFile(join(folder, '2.json'), jsonManifest('a'));
    const models = await readManifests([join(folder, '2.json'), join(folder, '1.yaml')]);
    expect(models.map(({ metadata }) => metadata.name)).toEqual(['a', 'c', 'b']);
  });

  test.each([
    ['with a blank and a percent sign', 'v 1/100%.onnx'],
    ['in the folder above', '../shared/model.onnx'],
    ['from the root', '/srv/models/model.onnx'],
  ])('makes a URI that leads back to the path: %s', async (_, path) => {
    await writeFile(join(folder, 'a.yaml'), manifest('a', path));
    const [model] = await readManifests([join(folder, 'a.yaml')]);
    expect(fileURLToPath(model?.spec.artifact.uri as string)).toBe(resolve(folder, path));
  });

  test('leaves a file URI alone', async () => {
    await writeFile(join(folder, 'a.yaml'), manifest('a', 'file:///srv/a%20b.onnx'));
    expect((await readManifests([join(folder, 'a.yaml')]))[0]?.spec.artifact.uri).toBe('file:///srv/a%20b.onnx');
  });

  test('tells every problem of every file at once', async () => {
    await writeFile(join(folder, '1.yaml'), manifest('a', 's3://bucket/a.onnx'));
    await writeFile(join(folder, '2.yaml'), 'kind: [');
    await writeFile(join(folder, '3.yaml'), manifest('Not_A_Name', 'gs://bucket/a.onnx'));
    const failure = readManifests([folder]);
    for (const file of ['1.yaml', '2.yaml', '3.yaml']) await expect(failure).rejects.toThrow(join(folder, file));
  });

  test('refuses a folder of files that are no manifests, and a folder within', async () => {
    await writeFile(join(folder, 'README.md'), 'nothing');
    await mkdir(join(folder, 'nested'));
    await writeFile(join(folder, 'nested', 'a.yaml'), manifest('a', 'gs://bucket/a.onnx'));
    await expect(readManifests([folder])).rejects.toMatchObject({
      code: 'ManifestNotFound',
      message: `${folder}: has no manifest in it (.yaml, .yml or .json)`,
    });
  });

  test('says in one line which file does not exist, and which folder is empty', async () => {
    await expect(readManifests([join(folder, 'gone.yaml')])).rejects.toThrow(/gone\.yaml: does not exist$/);
    await expect(readManifests([folder])).rejects.toThrow(/has no manifest in it/);
  });
});
