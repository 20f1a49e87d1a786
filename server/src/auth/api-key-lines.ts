import { callerName, parseRoles, roles } from '@riskmodel/core/access/api-key.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { Caller } from './caller.ts';

/** A key that is accepted, known by its SHA-256. */
export interface AcceptedKey {
  /** 32 bytes. */
  hash: Buffer;
  caller: Caller;
}

/** A file of lines, and the caller whose keys they are when they name none. */
export interface KeyFile {
  path: string;
  text: string;
  owner?: string;
}

const line = /^(?:([^:\s]+):)?([\da-f]{64})(?:\s+(\S+))?$/i;

/**
 * Reads lines as `riskmodel key create` prints them, `NAME:SHA256` or `NAME:SHA256 ROLES`; in a file that has an owner
 * the name may be left out. A caller may have several, so that a new key is accepted before the old one is not. Empty
 * lines and those that begin with # say nothing.
 *
 * @throws RiskModelError `InvalidApiKeys` naming file and line, and nothing of its content
 */
export function parseApiKeys(files: readonly KeyFile[]): AcceptedKey[] {
  const keys = new Map<string, AcceptedKey>();
  for (const { path, text, owner } of files) {
    for (const [index, content] of text.split('\n').entries()) {
      const trimmed = content.trim();
      if (trimmed === '' || trimmed.startsWith('#')) continue;
      const at = `${path}, line ${index + 1}`;
      const key = parseLine(trimmed, at, owner);
      const hash = key.hash.toString('hex');
      if (keys.has(hash)) throw invalid(`${at}: this key is there already`);
      keys.set(hash, key);
    }
  }
  return [...keys.values()];
}

function parseLine(text: string, at: string, owner: string | undefined): AcceptedKey {
  const [, named, hash, words] = line.exec(text) ?? [];
  const name = named ?? owner;
  if (hash === undefined || name === undefined) {
    throw invalid(`${at}: must be NAME:SHA256, as "riskmodel key create" prints it`);
  }
  if (!callerName.test(name)) {
    throw invalid(`${at}: the name must be 1 to 63 letters, digits and _.@-, beginning with a letter or digit`);
  }
  const granted = words === undefined ? roles : parseRoles(words);
  if (granted === undefined) throw invalid(`${at}: what follows the hash must be ${roles.join(' or ')}`);
  return { hash: Buffer.from(hash, 'hex'), caller: { name, method: 'api-key', roles: new Set(granted) } };
}

function invalid(message: string): RiskModelError {
  return new RiskModelError('InvalidApiKeys', message);
}
