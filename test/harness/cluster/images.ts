import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBaseImage } from './base-image.ts';
import { ensureBinaries } from './binaries.ts';
import { runBuildah } from './buildah.ts';
import { pauseImage } from './containerd.ts';
import { ensureHostPrograms } from './host-programs.ts';

export interface ImageSource {
  dockerfile: string;
  /** The folder that COPY copies from. */
  context: string;
  /** What pods call it, such as `localhost/riskmodel:test`. */
  name: string;
  buildArgs?: Record<string, string>;
  log?: (line: string) => void;
}

/**
 * Builds a Dockerfile that begins with `ARG BASE_IMAGE` and `FROM $BASE_IMAGE` and writes the image to a docker-archive
 * file, which a node's `loadImage` takes. Steps that have not changed since an earlier run are not done again.
 * @param file where the archive goes
 */
export async function buildImage(source: ImageSource, file: string): Promise<void> {
  const { dockerfile, context, name, log = () => {} } = source;
  await ensureHostPrograms(log);
  const args = { BASE_IMAGE: await ensureBaseImage(log), ...source.buildArgs };
  const buildArgs = Object.entries(args).flatMap(([arg, value]) => ['--build-arg', `${arg}=${value}`]);
  await runBuildah(['bud', '--quiet', '--layers', '--tag', name, '--file', dockerfile, ...buildArgs, context]);
  await writeArchive(name, file);
}

/** Writes the image that holds pods' namespaces to a docker-archive file. */
export async function buildPauseImage(file: string, log: (line: string) => void): Promise<void> {
  const { pause } = await ensureBinaries(['pause'], log);
  const context = await mkdtemp(join(tmpdir(), 'riskmodel-pause-image-'));
  try {
    await copyFile(pause, join(context, 'pause'));
    const dockerfile = join(context, 'Dockerfile');
    await writeFile(dockerfile, 'FROM scratch\nCOPY pause /pause\nUSER 65535\nENTRYPOINT ["/pause"]\n');
    await runBuildah(['bud', '--quiet', '--layers', '--tag', pauseImage, '--file', dockerfile, context]);
    await writeArchive(pauseImage, file);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function writeArchive(image: string, file: string): Promise<void> {
  // To a file that is there already it would have to be added, which buildah can't do.
  await rm(file, { force: true });
  await runBuildah(['push', '--quiet', image, `docker-archive:${file}:${image}`]);
}
