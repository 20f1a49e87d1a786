import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { integerSetting, readConfig } from './config.ts';

const complete = {
  RISKMODEL_MANIFESTS: '/etc/riskmodel/riskmodel.yaml',
  REDIS_URL: 'redis://127.0.0.1:6379',
};

describe('readConfig', () => {
  test('needs two variables and has defaults for the rest', () => {
    expect(readConfig(complete)).toEqual({
      manifests: ['/etc/riskmodel/riskmodel.yaml'],
      redisUrl: 'redis://127.0.0.1:6379',
      redisPrefix: 'riskmodel',
      logLevel: 'info',
    });
  });

  test('takes every variable', () => {
    expect(readConfig({ ...complete, RISKMODEL_REDIS_PREFIX: 'staging', RISKMODEL_LOG_LEVEL: 'debug' })).toMatchObject({
      redisPrefix: 'staging',
      logLevel: 'debug',
    });
  });

  test('takes empty optional variables for unset ones, as templates leave them', () => {
    expect(readConfig({ ...complete, RISKMODEL_REDIS_PREFIX: '', RISKMODEL_LOG_LEVEL: '' })).toMatchObject({
      redisPrefix: 'riskmodel',
      logLevel: 'info',
    });
  });

  test.each([
    ['relative paths from where the program was started', 'a.yaml,b', [resolve('a.yaml'), resolve('b')]],
    ['white space around commas', ' /a.yaml , /b ', ['/a.yaml', '/b']],
    ['a comma too many, which names no folder', '/a.yaml,,/b,', ['/a.yaml', '/b']],
  ])('takes %s', (_, manifests, expected) => {
    expect(readConfig({ ...complete, RISKMODEL_MANIFESTS: manifests }).manifests).toEqual(expected);
  });

  test.each([
    ...Object.keys(complete).map((name) => [name, undefined, `${name} is not set`] as const),
    ...Object.keys(complete).map((name) => [name, '', `${name} is not set`] as const),
    ['RISKMODEL_MANIFESTS', ' , ', 'RISKMODEL_MANIFESTS is not set'] as const,
    ['RISKMODEL_LOG_LEVEL', 'loud', 'RISKMODEL_LOG_LEVEL: must be one of debug, info, warn, error'] as const,
    ['RISKMODEL_LOG_LEVEL', 'INFO', 'RISKMODEL_LOG_LEVEL: must be one of debug, info, warn, error'] as const,
  ])('refuses %s=%j by name', (name, value, message) => {
    expect(() => readConfig({ ...complete, [name]: value })).toThrow(
      expect.objectContaining({ code: 'InvalidConfig', retry: 'never', message }),
    );
  });
});

describe('integerSetting', () => {
  const bounds = { fallback: 2, min: 0, max: 64 };

  test.each([
    [undefined, 2],
    ['', 2],
    ['0', 0],
    ['64', 64],
    ['7', 7],
  ])('%j is %p', (text, expected) => {
    expect(integerSetting({ N: text }, 'N', bounds)).toBe(expected);
  });

  test.each(['-1', '65', '1.5', 'two', 'NaN', 'Infinity', '7MB', ' '])('%j is refused by name and bounds', (text) => {
    expect(() => integerSetting({ N: text }, 'N', bounds)).toThrow(
      expect.objectContaining({ code: 'InvalidConfig', message: 'N: must be a whole number from 0 to 64' }),
    );
  });
});
