import { resolve } from 'node:path';
import { RiskModelError } from './errors.ts';

/** What server and queue-worker are both told, by environment variables. */
export interface Config {
  /** Manifest files, or folders of them (`RISKMODEL_MANIFESTS`, separated by commas). */
  manifests: string[];
  /** `REDIS_URL`, such as redis://127.0.0.1:6379 */
  redisUrl: string;
  /** Separates installations that share a Redis (`RISKMODEL_REDIS_PREFIX`, default `riskmodel`). */
  redisPrefix: string;
  /** `RISKMODEL_LOG_LEVEL`: debug, info (default), warn or error. */
  logLevel: LogLevel;
}

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Reads the configuration once, at a program's start. Throws `InvalidConfig`, naming the variable. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  return {
    manifests: requiredPaths(env, 'RISKMODEL_MANIFESTS'),
    redisUrl: required(env, 'REDIS_URL'),
    redisPrefix: env['RISKMODEL_REDIS_PREFIX'] || 'riskmodel',
    logLevel: oneOf(env, 'RISKMODEL_LOG_LEVEL', logLevels, 'info'),
  };
}

/** A setting that must be there. Throws `InvalidConfig`. */
export function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value === undefined || value === '') throw new RiskModelError('InvalidConfig', `${name} is not set`);
  return value;
}

function requiredPaths(env: NodeJS.ProcessEnv, name: string): string[] {
  const paths = required(env, name)
    .split(',')
    .map((path) => path.trim())
    .filter((path) => path !== '');
  if (paths.length === 0) throw new RiskModelError('InvalidConfig', `${name} is not set`);
  return paths.map((path) => resolve(path));
}

/** One of a few words from the environment; the fallback when there is none. Throws `InvalidConfig`. */
export function oneOf<T extends string>(env: NodeJS.ProcessEnv, name: string, allowed: readonly T[], fallback: T): T {
  const value = env[name];
  if (value === undefined || value === '') return fallback;
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new RiskModelError('InvalidConfig', `${name}: must be one of ${allowed.join(', ')}`);
  return found;
}

/** A whole number from the environment, within bounds. Throws `InvalidConfig`. */
export function integerSetting(
  env: NodeJS.ProcessEnv,
  name: string,
  { fallback, min, max }: { fallback: number; min: number; max: number },
): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RiskModelError('InvalidConfig', `${name}: must be a whole number from ${min} to ${max}`);
  }
  return value;
}
