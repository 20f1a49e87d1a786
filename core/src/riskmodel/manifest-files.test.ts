import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
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

  test('says in one line which file does not exist, and which folder is empty', async () => {
    await expect(readManifests([join(folder, 'gone.yaml')])).rejects.toThrow(/gone\.yaml: does not exist$/);
    await expect(readManifests([folder])).rejects.toThrow(/has no manifest in it/);
  });
});
