import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../testing/fake-terminal.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-test-'));
});

afterAll(() => rm(folder, { recursive: true }));

async function manifest(name: string, changes: { name?: string; minimum?: number } = {}): Promise<string> {
  const file = join(folder, name);
  await writeFile(
    file,
    `apiVersion: riskmodel.io/v1alpha1
kind: RiskModel
metadata: {name: ${changes.name ?? 'small'}}
spec:
  artifact: {uri: model.onnx, format: ONNX}
  features: [{name: AGE, type: Integer, minimum: ${changes.minimum ?? 18}, maximum: 99}]
`,
  );
  return file;
}

test('a valid manifest is named', async () => {
  const file = await manifest('valid.yaml');
  expect(await runCommand(['validate', '-f', file])).toEqual({
    exitCode: 0,
    stdout: `${file}: RiskModel small is valid\n`,
    stderr: '',
  });
});

test('every problem of every file has a line, and the exit code is 1', async () => {
  const valid = await manifest('valid.yaml');
  const broken = await manifest('broken.yaml', { minimum: 100 });
  const result = await runCommand(['validate', '-f', broken, valid, join(folder, 'absent.yaml')]);
  expect(result.exitCode).toBe(1);
  expect(result.stdout).toBe(`${valid}: RiskModel small is valid\n`);
  const [first, second, last] = result.stderr.trim().split('\n');
  expect(first).toMatch(`${broken}: spec.features[0]`);
  expect(second).toBe(`${join(folder, 'absent.yaml')}: does not exist`);
  expect(last).toBe(`riskmodel: ${broken}, ${join(folder, 'absent.yaml')} are not valid`);
});

test('a name that two files give is a problem of the second', async () => {
  const [first, second] = [await manifest('one.yaml'), await manifest('two.yaml')];
  const { exitCode, stderr } = await runCommand(['validate', '-f', first, second]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`${second}: metadata.name: duplicate "small" (first in ${first})\n`);
});

test('-o json lists files, models and problems', async () => {
  const file = await manifest('valid.yaml');
  const { stdout } = await runCommand(['validate', '-f', file, '-o', 'json']);
  expect(JSON.parse(stdout)).toEqual([{ file, valid: true, models: ['small'], problems: [] }]);
});
