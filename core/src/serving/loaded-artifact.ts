// What a serving pod has loaded, told through Redis, which servers and operator both reach anyway: the operator loads no
// model, and needs no way to the pods for this.
import type { Redis } from 'ioredis';

/** Which file a revision of a model serves. */
export interface LoadedArtifact {
  uri: string;
  /** Hexadecimal digest of its content. */
  sha256: string;
  /** The object's generation, when it came from a bucket. */
  generation?: string | undefined;
}

/** A revision of a model, in the installation and namespace that `prefix` stands for. */
export interface ServedRevision {
  prefix: string;
  model: string;
  revision: string;
}

/**
 * Tells what a pod of a revision has loaded. The last one to tell counts: after a file without `sha256` was overwritten,
 * that is the pod that started last.
 */
export async function tellLoadedArtifact(
  redis: Pick<Redis, 'hset'>,
  { prefix, model, revision }: ServedRevision,
  { uri, sha256, generation }: LoadedArtifact,
): Promise<void> {
  await redis.hset(key(prefix, model), revision, JSON.stringify({ uri, sha256, generation }));
}

/** What a revision's pods have loaded; undefined when none of them has told. */
export async function findLoadedArtifact(
  redis: Pick<Redis, 'hget'>,
  { prefix, model, revision }: ServedRevision,
): Promise<LoadedArtifact | undefined> {
  const text = await redis.hget(key(prefix, model), revision);
  return text === null ? undefined : (JSON.parse(text) as LoadedArtifact);
}

/** Forgets what all revisions of a model have loaded. */
export async function forgetLoadedArtifacts(
  redis: Pick<Redis, 'del'>,
  { prefix, model }: Omit<ServedRevision, 'revision'>,
): Promise<void> {
  await redis.del(key(prefix, model));
}

function key(prefix: string, model: string): string {
  return `${prefix}:artifacts:${model}`;
}
