import { expect, test } from '@jest/globals';
import { apiKeyLine, hashApiKey } from '@riskmodel/core/access/api-key.ts';
import { parseApiKeys } from './api-key-lines.ts';

const one = hashApiKey('one').toString('hex');
const two = hashApiKey('two').toString('hex');

test('lines as the command prints them, comments and empty lines', () => {
  const text = `# the web shop\r\n${apiKeyLine('web', 'one')}\r\n\n  web:${two.toUpperCase()}\t online \n`;
  expect(parseApiKeys([{ path: 'keys', text }])).toEqual([
    { hash: hashApiKey('one'), caller: { name: 'web', method: 'api-key', roles: new Set(['online', 'batch']) } },
    { hash: hashApiKey('two'), caller: { name: 'web', method: 'api-key', roles: new Set(['online']) } },
  ]);
});

test('a line without a name belongs to the owner of the file, one with a name does not', () => {
  const names = parseApiKeys([{ path: 'web', text: `${one}\nnightly:${two} batch`, owner: 'web' }]).map(
    ({ caller }) => caller.name,
  );
  expect(names).toEqual(['web', 'nightly']);
});

test('no lines are no keys', () => {
  expect(parseApiKeys([])).toEqual([]);
  expect(parseApiKeys([{ path: 'keys', text: '# nobody\n' }])).toEqual([]);
});

test.each([
  ['a key in place of its hash', 'web:rmk_secretsecret', 'keys, line 1: must be NAME:SHA256'],
  ['a key alone', '\nrmk_secretsecret', 'keys, line 2: must be NAME:SHA256'],
  ['a hash that is cut short', `web:${one.slice(1)}`, 'keys, line 1: must be NAME:SHA256'],
  ['a hash that nobody owns', one, 'keys, line 1: must be NAME:SHA256'],
  ['a name that is none', `we/b:${one}`, 'keys, line 1: the name must be'],
  ['a role that is none', `web:${one} admin`, 'keys, line 1: what follows the hash must be online or batch'],
  ['a key of two callers', `web:${one}\nelse:${one}`, 'keys, line 2: this key is there already'],
])('%s is refused without being repeated', (_why, text, message) => {
  let thrown: unknown;
  try {
    parseApiKeys([{ path: 'keys', text }]);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'InvalidApiKeys', message: expect.stringContaining(message) });
  expect(String(thrown)).not.toMatch(/secretsecret|[\da-f]{16}/);
});
