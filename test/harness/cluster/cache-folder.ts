import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where things that take minutes to make are kept from run to run: outside of the clone, so a fresh one has them. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['RISKMODEL_CACHE']) return resolve(env['RISKMODEL_CACHE']);
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'riskmodel');
}
