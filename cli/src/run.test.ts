import { describe, expect, test } from '@jest/globals';
import { freePort } from '@riskmodel/core/free-port.ts';
import { runCommand } from './testing/fake-terminal.ts';

describe('a command that is called wrongly exits 2 and says how to call it, in one line', () => {
  const cases: [why: string, args: string[], line: string][] = [
    ['unknown command', ['serve'], "riskmodel: unknown command 'serve'; see riskmodel --help"],
    ['misspelt command', ['batc'], "riskmodel: unknown command 'batc' (Did you mean batch?); see riskmodel --help"],
    [
      'unknown option',
      ['batch', 'list', '--all'],
      "riskmodel: unknown option '--all'; see riskmodel batch list --help",
    ],
    [
      'missing option',
      ['predict', '-d', '{}'],
      "riskmodel: required option '-m, --model <name>' not specified; see riskmodel predict --help",
    ],
    ['missing argument', ['batch', 'get'], "riskmodel: missing required argument 'id'; see riskmodel batch get --help"],
    [
      'one argument too many',
      ['batch', 'get', 'a', 'b'],
      "riskmodel: too many arguments for 'get'. Expected 1 argument but got 2: a, b; see riskmodel batch get --help",
    ],
    [
      'unknown output format',
      ['batch', 'list', '-o', 'yaml'],
      "riskmodel: option '-o, --output <format>' argument 'yaml' is invalid. Allowed choices are table, json; see riskmodel batch list --help",
    ],
    [
      'port that is none',
      ['up', '-f', 'x.yaml', '--port', '80a'],
      "riskmodel: option '-p, --port <port>' argument '80a' is invalid. It must be a whole number from 0 to 65535; see riskmodel up --help",
    ],
    [
      'server that is no URL',
      ['batch', 'list', '--server', 'localhost:8080'],
      'riskmodel: --server: must be a URL such as http://127.0.0.1:8080, not "localhost:8080"',
    ],
    [
      'data that is no JSON',
      ['predict', '-m', 'x', '-d', '{"AGE": 24'],
      `riskmodel: --data: is not JSON: Expected ',' or '}' after property value in JSON at position 10 (line 1 column 11)`,
    ],
    [
      'file that is not there',
      ['predict', '-m', 'x', '--file', 'no-such.json'],
      'riskmodel: --file: no-such.json: there is no such file',
    ],
    [
      'two sources of rows',
      ['predict', '-m', 'x', '-d', '{}', '--file', 'a.json'],
      'riskmodel: --data and --file exclude each other',
    ],
    [
      'no source of rows',
      ['predict', '-m', 'x'],
      'riskmodel: nothing to predict: give --data, --file or standard input',
    ],
  ];
  test.each(cases)('%s', async (_why, args, line) => {
    expect(await runCommand(args)).toEqual({ exitCode: 2, stdout: '', stderr: `${line}\n` });
  });

  test.each([[[]], [['batch']]])('%j prints its help', async (args) => {
    const { exitCode, stdout, stderr } = await runCommand(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: riskmodel /);
  });
});

test.each([
  [[]],
  [['up']],
  [['predict']],
  [['validate']],
  [['batch']],
  [['batch', 'submit']],
  [['batch', 'list']],
  [['batch', 'get']],
  [['batch', 'cancel']],
  [['key']],
  [['key', 'create']],
])('%j --help shows an example', async (command) => {
  const { exitCode, stdout, stderr } = await runCommand([...command, '--help']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain(['riskmodel', ...command].join(' '));
  expect(stdout).toMatch(/\nExamples?:\n {2}riskmodel /);
});

test('--version prints the version', async () => {
  expect(await runCommand(['--version'])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
});

test('a server that is not there is named, with the command that starts one', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const unreachable = {
    exitCode: 1,
    stdout: '',
    stderr: `riskmodel: no server answers at ${url}: start one with "npm start", or with "npx riskmodel up -f" and your manifest\n`,
  };
  expect(await runCommand(['batch', 'list', '--server', url])).toEqual(unreachable);
  expect(await runCommand(['predict', '-m', 'x', '-d', '{}'], { env: { RISKMODEL_SERVER: `${url}/` } })).toEqual(
    unreachable,
  );
});
