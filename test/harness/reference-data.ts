import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { printFigure } from './figures.ts';

const folder = join(import.meta.dirname, '..', '..', '..', 'shared', 'data');

/** The reference rows and the original model's answers; they are not part of the repository. */
export const referenceData = {
  folder,
  isThere: existsSync(join(folder, 'datos_prueba.json')),
  model: join(folder, 'risk-model.onnx'),
  input: join(folder, 'datos_prueba.json'),
  rows: (): Record<string, number>[] =>
    JSON.parse(readFileSync(join(folder, 'datos_prueba.json'), 'utf8')) as Record<string, number>[],
  /** prob_1 and prob_0 by row, as XGBoost itself gave them. */
  expected: (): { prob_0: number; prob_1: number }[] =>
    readFileSync(join(folder, 'expected_predictions.csv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(',').map(Number))
      .map(([, prob_0, prob_1]) => ({ prob_0: prob_0 as number, prob_1: prob_1 as number })),
};

/** The report that the original service wrote for these rows: precision, recall, F1, support. */
export const expectedReport: Record<string, [number, number, number, number]> = {
  0: [0.8753217043179868, 0.8284167794316644, 0.8512235817575083, 3695],
  1: [0.513430544896393, 0.6054298642533936, 0.5556478405315614, 1105],
  accuracy: [0.7770833333333333, 0.7770833333333333, 0.7770833333333333, 4800],
  'macro avg': [0.6943761246071899, 0.716923321842529, 0.7034357111445348, 4800],
  'weighted avg': [0.7920113436594741, 0.7770833333333333, 0.7831795829961185, 4800],
};

if (!referenceData.isThere) printFigure('skipped: the reference data are not beside the repository');
