import { isAbsolute, relative } from 'node:path';

/** A path as one would type it: relative to the current folder when it lies in it. */
export function shortPath(path: string): string {
  const short = relative('', path);
  return short === '' || short.startsWith('..') || isAbsolute(short) ? path : short;
}
