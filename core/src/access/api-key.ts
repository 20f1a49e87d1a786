import { createHash, randomBytes } from 'node:crypto';

/** What a caller may ask for: predictions of single applicants, or batches. */
export const roles = ['online', 'batch'] as const;
export type Role = (typeof roles)[number];

/** A caller's name, as it is in a Secret's keys, in files and in logs. */
export const callerName = /^[A-Za-z0-9][\w.@-]{0,62}$/;

/** Makes a key that nobody can guess: `rmk_` (which scanners for leaked secrets can look for) and 256 random bits. */
export function makeApiKey(): string {
  return `rmk_${randomBytes(32).toString('base64url')}`;
}

/**
 * The SHA-256 of a key, 32 bytes: all that the server is given. A key has 256 random bits, so it needs no salt and no
 * slow hash, as a password would.
 */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}

/** The line by which a server knows the key: `NAME:SHA256`, and the roles unless it has all. */
export function apiKeyLine(name: string, key: string, granted: readonly Role[] = roles): string {
  const suffix = roles.every((role) => granted.includes(role)) ? '' : ` ${granted.join(',')}`;
  return `${name}:${hashApiKey(key).toString('hex')}${suffix}`;
}

/** Roles as they are written, separated by commas; undefined when a word is none of them. */
export function parseRoles(text: string): Role[] | undefined {
  const words = text.split(',');
  const known = roles.filter((role) => words.includes(role));
  return words.every((word) => (roles as readonly string[]).includes(word)) ? known : undefined;
}
