import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSession } from '@riskmodel/core/model/session.ts';
import { runCommand } from '../testing/fake-terminal.ts';

const trees = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures', 'trees');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-test-'));
});

afterAll(() => rm(folder, { recursive: true }));

test('a model is converted, described, and can be loaded', async () => {
  const output = join(folder, 'model.onnx');
  const result = await runCommand(['convert', join(trees, 'xgboost-depth-8.ubj'), output]);
  expect(result).toEqual({ exitCode: 0, stderr: '', stdout: expect.any(String) });
  const onnx = await readFile(output);
  expect(result.stdout.split('\n')).toEqual([
    'source    XGBoost 3.2.0',
    'trees     6',
    'features  5: income, age, utilisation, late_payments, loan_to_value',
    `written   ${output}, ${onnx.length.toLocaleString('en')} bytes`,
    '',
  ]);
  const session = await openSession(onnx, 5);
  await session.release();
  expect(await readdir(folder)).toEqual(['model.onnx']);
});

test('-o json has the same; trees that are not used are counted', async () => {
  const [input, output] = [join(trees, 'xgboost-early-stopped.json'), join(folder, 'stopped.onnx')];
  const { stdout } = await runCommand(['convert', input, output, '--format', 'XGBoost', '-o', 'json']);
  expect(JSON.parse(stdout)).toEqual({
    input,
    output,
    format: 'XGBoost',
    source: 'XGBoost 3.2.0',
    trees: 8,
    unusedTrees: expect.any(Number),
    features: 5,
    featureNames: null,
    bytes: (await readFile(output)).length,
  });
  expect((JSON.parse(stdout) as { unusedTrees: number }).unusedTrees).toBeGreaterThan(0);
});

test('a file that is there is overwritten with --force only', async () => {
  const output = join(folder, 'there.onnx');
  await writeFile(output, 'mine');
  const args = ['convert', join(trees, 'lightgbm-nan.txt'), output];
  expect(await runCommand(args)).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: `riskmodel: ${output} is there already: use --force to overwrite it\n`,
  });
  expect(await readFile(output, 'utf8')).toBe('mine');
  expect((await runCommand([...args, '--force'])).exitCode).toBe(0);
  expect(await readFile(output, 'utf8')).not.toBe('mine');
});

describe('nothing is written', () => {
  test.each<[why: string, args: string[], exitCode: number, message: string]>([
    ['when there is no such file', ['absent.ubj'], 1, 'there is no such file'],
    ['for a folder', ['.'], 1, 'is a folder, not a file'],
    ['for categorical splits', ['xgboost-categorical.json'], 1, 'splits the feature late_payments by categories'],
    ['for another format than was said', ['lightgbm-nan.txt', '--format', 'XGBoost'], 1, 'it looks like LightGBM'],
    ['for a format that there is not', ['lightgbm-nan.txt', '--format', 'PMML'], 2, 'see riskmodel convert --help'],
  ])('%s', async (_, [input = '', ...options], exitCode, message) => {
    const output = join(folder, 'none.onnx');
    const result = await runCommand(['convert', join(trees, input), output, ...options]);
    expect(result).toEqual({ exitCode, stdout: '', stderr: expect.stringContaining(message) });
    expect(await readdir(folder)).not.toContain('none.onnx');
  });

  test('without a name for it', async () => {
    const { exitCode, stderr } = await runCommand(['convert', join(trees, 'lightgbm-nan.txt')]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining("argument 'out'") });
  });
});
