import { parseGsUri, type ObjectInfo, type ObjectStore } from './object-store.ts';

/**
 * The objects that a URI names, each with its current version, in the order of their names:
 *
 * - `gs://BUCKET/FOLDER/` (a slash at the end): all below the folder;
 * - `gs://BUCKET/day=2026-11-23/*.parquet`: those that match, where `*` is any number of characters but `/`, and `**`
 *   any number of any. An object whose name has the star itself is that object;
 * - else the object itself.
 *
 * The first two pass over names whose last part begins with `_` or `.`, as those do that say how a job went, and over
 * empty objects that stand for folders.
 */
export async function* findObjects(uri: string, store: ObjectStore): AsyncIterable<ObjectInfo> {
  const { path } = parseGsUri(uri);
  if (!path.endsWith('/')) {
    const object = await store.stat(uri);
    if (object !== undefined) yield object;
    if (object !== undefined || !path.includes('*')) return;
  }
  const prefix = uri.split('*')[0] as string;
  const pattern = patternOf(uri);
  for await (const object of store.list(prefix)) if (pattern.test(object.uri) && !isHidden(object.uri)) yield object;
}

/** Whether a URI may name several objects. */
export function namesSeveral(uri: string): boolean {
  return uri.endsWith('/') || uri.includes('*');
}

function patternOf(uri: string): RegExp {
  const everything = uri.endsWith('/') ? `${uri}**` : uri;
  const parts = everything.split(/(\*+)/).map((part) => {
    if (!part.startsWith('*')) return part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
    return part.length === 1 ? '[^/]*' : '.*';
  });
  return new RegExp(`^${parts.join('')}$`, 's');
}

function isHidden(uri: string): boolean {
  return /\/([_.][^/]*)?$/.test(uri);
}
