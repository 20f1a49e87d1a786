import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RiskModelError, messageOf } from '../errors.ts';
import { parseManifests } from './manifest.ts';
import type { RiskModel } from './zz_generated.riskmodel.ts';

/**
 * Reads the RiskModels of files, and of every `.yaml`, `.yml` and `.json` file of folders. An artifact that the manifest
 * names by a path beside it becomes an absolute `file://` URI.
 *
 * @throws ManifestError with every problem of a file; RiskModelError `ManifestNotFound`, `DuplicateModel`
 */
export async function readManifests(paths: readonly string[]): Promise<RiskModel[]> {
  const files = (await Promise.all(paths.map(filesOf))).flat();
  const models = (await Promise.all(files.map(readManifest))).flat();
  const names = new Set<string>();
  for (const { metadata } of models) {
    if (names.has(metadata.name)) {
      throw new RiskModelError(
        'DuplicateModel',
        `metadata.name: two manifests are named "${metadata.name}"; names must differ`,
      );
    }
    names.add(metadata.name);
  }
  return models;
}

async function filesOf(path: string): Promise<string[]> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw new RiskModelError('ManifestNotFound', `${path} can't be read: ${messageOf(cause)}`, { cause });
  });
  if (!stats.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /\.(ya?ml|json)$/.test(name)).toSorted();
  return names.map((name) => join(path, name));
}

async function readManifest(file: string): Promise<RiskModel[]> {
  const models = parseManifests(await readFile(file, 'utf8'), file);
  return models.map((model) => {
    const { artifact } = model.spec;
    const uri = /^[a-z]+:\/\//.test(artifact.uri)
      ? artifact.uri
      : pathToFileURL(resolve(dirname(file), artifact.uri)).href;
    return { ...model, spec: { ...model.spec, artifact: { ...artifact, uri } } };
  });
}
