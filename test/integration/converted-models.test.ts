import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { convertModel } from '@riskmodel/core/model/convert/convert.ts';
import { openSession } from '@riskmodel/core/model/session.ts';
import { printFigure } from '../harness/figures.ts';
import { referenceData } from '../harness/reference-data.ts';

const folder = join(import.meta.dirname, '..', 'fixtures', 'trees');
const features = 5;
/**
 * Two roundings of a float32 below 1 in one probability. XGBoost adds up the same float32s in the same order; LightGBM
 * adds doubles, and so does the converted model.
 */
const tolerance = 1.2e-7;

/** The rows of a fixture, float32 [rows, features], and what the library itself gave for each. */
function predictions(name: string): { matrix: Float32Array; rows: number; prob1: number[] } {
  const lines = readFileSync(join(folder, `${name}.csv`), 'utf8')
    .trim()
    .split('\n');
  const cells = lines.map((line) => line.split(',').map((cell) => (cell === '' ? Number.NaN : Number(cell))));
  return {
    matrix: Float32Array.from(cells.flatMap((row) => row.slice(0, features))),
    rows: cells.length,
    prob1: cells.map((row) => row[features] as number),
  };
}

describe('a converted model answers as the library that trained it', () => {
  test.each<[file: string, format: string, trees: number, why: string]>([
    ['xgboost-depth-3.json', 'XGBoost', 10, 'JSON; missing values'],
    ['xgboost-depth-3.ubj', 'XGBoost', 10, 'the same as UBJSON'],
    ['xgboost-stumps.ubj', 'XGBoost', 30, 'depth 1, base_score 0.2'],
    ['xgboost-depth-8.ubj', 'XGBoost', 6, 'depth 8, pruned, scale_pos_weight, names'],
    ['xgboost-nothing-missing.ubj', 'XGBoost', 10, 'values are missing that never were in training'],
    ['xgboost-early-stopped.json', 'XGBoost', 8, 'two trees a round, trained beyond the best round'],
    ['xgboost-dart.ubj', 'XGBoost', 12, 'trees with weights'],
    ['lightgbm-nan.txt', 'LightGBM', 10, 'missing values, names'],
    ['lightgbm-nothing-missing.txt', 'LightGBM', 10, 'values are missing that never were in training'],
    ['lightgbm-zero-as-missing.txt', 'LightGBM', 10, '0 is missing, and so is what is almost 0'],
    ['lightgbm-missing-not-used.txt', 'LightGBM', 10, 'a missing value is 0'],
    ['lightgbm-doubles.txt', 'LightGBM', 20, 'thresholds that are no float32s; sigmoid 1.7'],
    ['lightgbm-random-forest.txt', 'LightGBM', 6, 'the mean of the trees'],
    ['lightgbm-dart.txt', 'LightGBM', 12, 'trees that were scaled; is_unbalance'],
    ['lightgbm-no-split.txt', 'LightGBM', 1, 'no split was worth it'],
  ])('%s (%s, %i trees): %s', async (file, format, trees) => {
    const converted = convertModel(readFileSync(join(folder, file)));
    expect(converted).toMatchObject({ format, trees, featureCount: features });
    const { matrix, rows, prob1 } = predictions(file.replace(/\.\w+$/, ''));
    const session = await openSession(converted.onnx, features);
    const answers = await session.run(matrix, rows);
    await session.release();
    let worst = 0;
    for (const [row, expected] of prob1.entries()) {
      const [zero, one] = answers.subarray(2 * row, 2 * row + 2) as unknown as [number, number];
      worst = Math.max(worst, Math.abs(one - expected), Math.abs(zero - (1 - expected)));
    }
    printFigure(`${file}: ${rows} rows, largest difference from the library ${worst.toExponential(2)}`);
    expect(worst).toBeLessThanOrEqual(tolerance);
  });
});

(referenceData.isThere ? test : test.skip)(
  'the original XGBoost file gives its 4,800 predictions within 2e-7',
  async () => {
    const { onnx, featureNames, trees } = convertModel(
      readFileSync(join(referenceData.folder, 'risk-model.xgboost.json')),
    );
    const names = featureNames as readonly string[];
    const rows = referenceData.rows();
    const session = await openSession(onnx, names.length);
    const matrix = Float32Array.from(rows.flatMap((row) => names.map((name) => row[name] as number)));
    const answers = await session.run(matrix, rows.length);
    await session.release();
    const expected = referenceData.expected().flatMap(({ prob_0, prob_1 }) => [prob_0, prob_1]);
    expect(answers).toHaveLength(9600);
    const worst = Math.max(...expected.map((probability, index) => Math.abs((answers[index] as number) - probability)));
    printFigure(`${trees} trees, 4,800 rows, largest difference from XGBoost: ${worst.toExponential(2)}`);
    expect(worst).toBeLessThanOrEqual(2e-7);
  },
);
