import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import { ManifestError, type ManifestProblem } from '@riskmodel/core/riskmodel/manifest.ts';
import { readManifests } from '@riskmodel/core/riskmodel/manifest-files.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import { CommandError } from './errors.ts';

/** What one manifest file, or folder of them, holds: its models, or what is wrong with it. */
export interface CheckedManifest {
  file: string;
  models: RiskModel[];
  problems: readonly ManifestProblem[];
}

/** Reads each manifest file; one that can't be read has a problem like any other, and so has a name that is taken. */
export async function checkManifests(files: string[]): Promise<CheckedManifest[]> {
  const firstFile = new Map<string, string>();
  return (await Promise.all(files.map(checkManifest))).map(({ file, models, problems }) => {
    const duplicates: ManifestProblem[] = [];
    for (const { name } of models.map(({ metadata }) => metadata)) {
      const first = firstFile.get(name);
      if (first === undefined) firstFile.set(name, file);
      else duplicates.push({ source: file, path: 'metadata.name', message: `duplicate "${name}" (first in ${first})` });
    }
    return { file, models, problems: [...problems, ...duplicates] };
  });
}

async function checkManifest(file: string): Promise<CheckedManifest> {
  try {
    return { file, models: await readManifests([file]), problems: [] };
  } catch (error) {
    if (error instanceof ManifestError) return { file, models: [], problems: error.problems };
    if (!(error instanceof RiskModelError)) throw error;
    // Its message names the file.
    return { file, models: [], problems: [{ source: '', path: '', message: error.message }] };
  }
}

/**
 * Checks that a model's artifact is where its manifest says, as local mode sees it.
 *
 * @throws CommandError naming the path where the file has to be
 */
export async function assertArtifactExists({ metadata, spec }: RiskModel, dataDir: string): Promise<void> {
  const { uri } = spec.artifact;
  const path = uri.startsWith('gs://')
    ? new FolderStore(join(dataDir, 'buckets')).pathOf(uri)
    : uri.startsWith('file://')
      ? fileURLToPath(uri)
      : undefined;
  // What else there may be is for the server to judge.
  if (path === undefined) return;
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return;
  throw new CommandError(`${metadata.name}: spec.artifact.uri: ${uri} does not exist: put the model file at ${path}`);
}
