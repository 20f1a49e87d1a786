import { expect, test } from '@jest/globals';
import { commandLine } from './command-line.ts';

const local = 'http://127.0.0.1:8080';
const other = 'http://127.0.0.1:9000';

test.each([
  ['the usual server goes without saying', local, {}, 'npx riskmodel batch get 7'],
  ['another is named', other, {}, `npx riskmodel batch get 7 --server ${other}`],
  ['the one of the environment goes without saying', other, { RISKMODEL_SERVER: other }, 'npx riskmodel batch get 7'],
  ['and hides the usual one', local, { RISKMODEL_SERVER: other }, `npx riskmodel batch get 7 --server ${local}`],
])('%s', (_why, url, env, command) => {
  expect(commandLine(['batch', 'get', '7'], { url, env })).toBe(command);
});

test('what a shell would take apart is quoted', () => {
  expect(commandLine(['predict', '--file', "my data/it's.json"], { url: local, env: {} })).toBe(
    String.raw`npx riskmodel predict --file 'my data/it'\''s.json'`,
  );
});
