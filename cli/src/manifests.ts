import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '@riskmodel/core/errors.ts';
import { ManifestError, parseManifests, type ManifestProblem } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { FolderStore } from '@riskmodel/core/storage/folder.ts';
import { CommandError } from './errors.ts';
import { readText } from './read-text.ts';

/** What one manifest file holds: its models, or what is wrong with it. */
export interface ManifestFile {
  file: string;
  models: RiskModel[];
  problems: readonly ManifestProblem[];
}

/** One file by itself; an unreadable file is a problem like any other. */
async function readManifestFile(file: string): Promise<ManifestFile> {
  let text: string;
  try {
    text = await readText(file);
  } catch (error) {
    return { file, models: [], problems: [{ source: file, path: '', message: messageOf(error) }] };
  }
  try {
    return { file, models: parseManifests(text, file), problems: [] };
  } catch (error) {
    if (error instanceof ManifestError) return { file, models: [], problems: error.problems };
    throw error;
  }
}

/** Reads and checks manifest files that belong together: a model's name is given once. */
export async function readManifestFiles(files: string[]): Promise<ManifestFile[]> {
  const firstFile = new Map<string, string>();
  return (await Promise.all(files.map(readManifestFile))).map(({ file, models, problems }) => {
    const duplicates: ManifestProblem[] = [];
    for (const { name } of models.map(({ metadata }) => metadata)) {
      const first = firstFile.get(name);
      if (first === undefined) firstFile.set(name, file);
      // The same name twice in one file is one of the file's own problems.
      else if (first !== file) {
        duplicates.push({ source: file, path: 'metadata.name', message: `duplicate "${name}" (first in ${first})` });
      }
    }
    return { file, models, problems: [...problems, ...duplicates] };
  });
}

/**
 * Reads manifest files that are to be served together.
 *
 * @throws CommandError with a line for each problem of each file
 */
export async function readValidManifests(files: string[]): Promise<{ file: string; model: RiskModel }[]> {
  const read = await readManifestFiles(files);
  const problems = read.flatMap((manifest) => manifest.problems);
  if (problems.length > 0) throw new CommandError(new ManifestError(problems).message);
  return read.flatMap(({ file, models }) => models.map((model) => ({ file, model })));
}

/**
 * Checks that a model's artifact is where its manifest says, as local mode sees it.
 *
 * @throws CommandError naming the path where the file has to be
 */
export async function assertArtifactExists(file: string, model: RiskModel, dataDir: string): Promise<void> {
  const { uri } = model.spec.artifact;
  const path = artifactPath(file, uri, dataDir);
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return;
  throw new CommandError(
    `${file}: spec.artifact.uri: ${uri} does not exist${path === uri ? '' : `: put the model file at ${path}`}`,
  );
}

function artifactPath(file: string, uri: string, dataDir: string): string {
  if (uri.startsWith('gs://')) return new FolderStore(join(dataDir, 'buckets')).pathOf(uri);
  if (uri.startsWith('file://')) return fileURLToPath(uri);
  return resolve(dirname(file), uri);
}
