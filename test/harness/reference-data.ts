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

if (!referenceData.isThere) printFigure('skipped: the reference data are not beside the repository');
