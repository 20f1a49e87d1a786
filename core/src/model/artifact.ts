import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { RiskModelError, messageOf } from '../errors.ts';
import { objectNotFound, type ObjectStore } from '../storage/object-store.ts';
import type { RiskModelSpec } from '../riskmodel/zz_generated.riskmodel.ts';

type ArtifactSpec = RiskModelSpec['artifact'];

/** A model file, read whole. */
export interface Artifact {
  bytes: Uint8Array;
  /** Hex digest of the bytes. */
  sha256: string;
  uri: string;
  /** The object's generation, when it came from an object store. */
  generation: string | undefined;
}

/**
 * Reads the artifact of a manifest from the object store (`gs://`) or a file (`file:///`, made absolute beforehand).
 *
 * @throws RiskModelError `ArtifactNotFound`, `ArtifactUnreadable` (may pass), `ArtifactDigestMismatch`
 */
export async function fetchArtifact(spec: ArtifactSpec, store: ObjectStore): Promise<Artifact> {
  const { bytes, generation } = await readArtifact(spec.uri, store);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (spec.sha256 !== undefined && spec.sha256 !== sha256) {
    throw new RiskModelError(
      'ArtifactDigestMismatch',
      `${spec.uri} has the sha256 ${sha256}, but spec.artifact.sha256 is ${spec.sha256}: publish the right file, or correct the manifest`,
    );
  }
  return { bytes, sha256, uri: spec.uri, generation };
}

async function readArtifact(uri: string, store: ObjectStore): Promise<{ bytes: Uint8Array; generation?: string }> {
  try {
    if (uri.startsWith('file://')) return { bytes: await readFile(fileURLToPath(uri)) };
    const object = await store.stat(uri);
    if (object === undefined) throw objectNotFound(uri);
    return { bytes: await buffer(await store.read(object)), generation: object.generation };
  } catch (cause) {
    if (cause instanceof RiskModelError && cause.code === 'InvalidUri') throw cause;
    if (isNotFound(cause)) {
      throw new RiskModelError('ArtifactNotFound', `spec.artifact.uri: ${uri} does not exist`, { cause });
    }
    throw new RiskModelError('ArtifactUnreadable', `spec.artifact.uri: ${uri} can't be read: ${messageOf(cause)}`, {
      retry: 'later',
      cause,
    });
  }
}

function isNotFound(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'ENOENT' || code === 'NotFound';
}
