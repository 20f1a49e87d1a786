import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RiskModelError, messageOf } from '../errors.ts';
import { ManifestError, parseManifests, type ManifestProblem } from './manifest.ts';
import type { RiskModel } from './zz_generated.riskmodel.ts';

/**
 * Reads the manifests that a program is to serve.
 *
 * @param paths manifest files, and folders of which every `.yaml`, `.yml` and `.json` file is one (hidden ones, as
 *   Kubernetes leaves them in a mounted ConfigMap, are passed over)
 * @returns the models, in order of the files; an artifact that is given by a path has an absolute `file://` URI
 * @throws ManifestError with everything that is wrong; RiskModelError `ManifestNotFound`
 */
export async function readManifests(paths: readonly string[]): Promise<RiskModel[]> {
  const models: RiskModel[] = [];
  const problems: ManifestProblem[] = [];
  const fileOf = new Map<string, string>();
  for (const file of (await Promise.all(paths.map(manifestFiles))).flat()) {
    try {
      for (const model of parseManifests(await readFile(file, 'utf8'), file)) {
        const { name } = model.metadata;
        const first = fileOf.get(name);
        if (first !== undefined) {
          problems.push({ source: file, path: 'metadata.name', message: `duplicate "${name}" (first in ${first})` });
        }
        fileOf.set(name, first ?? file);
        models.push(withAbsoluteArtifact(model, file));
      }
    } catch (error) {
      if (!(error instanceof ManifestError)) throw notReadable(file, error);
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new ManifestError(problems);
  return models;
}

async function manifestFiles(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => !name.startsWith('.') && /\.(?:ya?ml|json)$/.test(name));
    if (names.length > 0) return names.toSorted().map((name) => join(path, name));
  } catch (error) {
    throw notReadable(path, error);
  }
  throw new RiskModelError('ManifestNotFound', `${path}: has no manifest in it (.yaml, .yml or .json)`);
}

function notReadable(path: string, cause: unknown): RiskModelError {
  const { code } = cause as NodeJS.ErrnoException;
  const reason = code === 'ENOENT' ? 'does not exist' : messageOf(cause);
  return new RiskModelError('ManifestNotFound', `${path}: ${reason}`, { cause });
}

/** A path beside the manifest means the file there, wherever the program was started. */
function withAbsoluteArtifact(model: RiskModel, file: string): RiskModel {
  const { artifact } = model.spec;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(artifact.uri)) return model;
  const uri = pathToFileURL(resolve(dirname(file), artifact.uri)).href;
  return { ...model, spec: { ...model.spec, artifact: { ...artifact, uri } } };
}
