import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { runCommand } from '../testing/fake-terminal.ts';

test('prints the key once, and the line for the server, which has its hash alone', async () => {
  const { exitCode, stdout, stderr } = await runCommand(['key', 'create', '--name', 'web']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const [, key = '', line] = /^key {3}(rmk_[\w-]{43})\nline {2}(.+)\n$/.exec(stdout) ?? [];
  expect(line).toBe(`web:${createHash('sha256').update(key).digest('hex')}`);
});

test('-o json has the parts', async () => {
  const { stdout } = await runCommand(['key', 'create', '--name', 'web', '--roles', 'batch', '-o', 'json']);
  const { name, key, sha256, roles, line } = JSON.parse(stdout) as Record<string, unknown>;
  expect({ name, roles }).toEqual({ name: 'web', roles: ['batch'] });
  expect(sha256).toBe(createHash('sha256').update(String(key)).digest('hex'));
  expect(line).toBe(`web:${String(sha256)} batch`);
});

test.each([
  ['a name that no Secret can have', ['--name', 'a b'], "'--name <name>' argument 'a b' is invalid"],
  ['a role that there is not', ['--name', 'web', '--roles', 'admin'], '--roles: must be online, batch or both'],
])('%s is refused', async (_why, args, message) => {
  const { exitCode, stdout, stderr } = await runCommand(['key', 'create', ...args]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain(message);
});
