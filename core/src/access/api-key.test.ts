import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { apiKeyLine, callerName, hashApiKey, makeApiKey, parseRoles } from './api-key.ts';

test('a key is 256 random bits behind a prefix', () => {
  const keys = new Set(Array.from({ length: 100 }, makeApiKey));
  expect(keys.size).toBe(100);
  for (const key of keys) expect(key).toMatch(/^rmk_[\w-]{43}$/);
});

test('its line has the name and the SHA-256 that other tools compute, and never the key', () => {
  const key = makeApiKey();
  const hash = createHash('sha256').update(key).digest('hex');
  expect(hashApiKey(key).toString('hex')).toBe(hash);
  expect(apiKeyLine('scoring', key)).toBe(`scoring:${hash}`);
  expect(apiKeyLine('scoring', key, ['batch', 'online'])).toBe(`scoring:${hash}`);
  expect(apiKeyLine('scoring', key, ['online'])).toBe(`scoring:${hash} online`);
});

test.each([
  ['online', ['online']],
  ['batch,online', ['online', 'batch']],
  ['admin', undefined],
  ['online,admin', undefined],
  ['', undefined],
])('roles %j are %j', (text, expected) => {
  expect(parseRoles(text)).toEqual(expected);
});

test.each(['a', 'web-1', 'risk.example', 'a@b'])('%s is a name', (name) => expect(name).toMatch(callerName));
test.each(['', 'a b', 'a:b', '.a', '-a', 'a\n', 'x'.repeat(64)])('%j is no name', (name) => {
  expect(name).not.toMatch(callerName);
});
