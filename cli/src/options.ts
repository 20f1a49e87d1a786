import { InvalidArgumentError, Option } from 'commander';
import { UsageError } from './errors.ts';
import type { Terminal } from './terminal.ts';

export const defaultServer = 'http://127.0.0.1:8080';

export type OutputFormat = 'table' | 'json';

/** `-o json`, for programs; else what people read. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print the answer').choices(['table', 'json']).default('table');
}

/** `--server URL` */
export function serverOption(): Option {
  return new Option('--server <url>', `the server's address (RISKMODEL_SERVER, else ${defaultServer})`);
}

/** `--token TOKEN` */
export function tokenOption(): Option {
  return new Option('--token <token>', "an API key or OIDC token (RISKMODEL_TOKEN, which other users can't see)");
}

/** What the server is to know the caller by, if it asks. Throws UsageError when no header can hold it. */
export function callerToken(option: string | undefined, { env }: Terminal): string | undefined {
  const token = (option ?? env['RISKMODEL_TOKEN'])?.trim();
  if (token === undefined || token === '') return undefined;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new UsageError(`${option === undefined ? 'RISKMODEL_TOKEN' : '--token'}: must be one word of ASCII characters`);
}

/** The server's base URL without a slash at its end. Throws UsageError when it is none. */
export function serverUrl(option: string | undefined, { env }: Terminal): string {
  const text = option ?? (env['RISKMODEL_SERVER'] || defaultServer);
  const source = option === undefined ? 'RISKMODEL_SERVER' : '--server';
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new UsageError(`${source}: must be a URL such as ${defaultServer}, not "${text}"`);
  }
  return text.replace(/\/+$/, '');
}

/** A parser for an option that is a whole number within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}
