import { defaultServer } from './options.ts';

/**
 * A command of this program as it can be copied into a terminal of the same kind as this one: with `npx`, words that a
 * shell would take apart in quotes, and the server named when it is not the one that would be asked anyway.
 */
export function commandLine(args: string[], { url, env }: { url: string; env: NodeJS.ProcessEnv }): string {
  const server = url === (env['RISKMODEL_SERVER'] || defaultServer) ? [] : ['--server', url];
  return ['npx', 'riskmodel', ...args, ...server].map(shellWord).join(' ');
}

/** A word for a POSIX shell, in quotes when it needs them. */
export function shellWord(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
