import { describe, expect, test } from '@jest/globals';
import { addCounts, classificationReport, noCounts, type ConfusionCounts } from './classification-report.ts';

type Scores = [precision: number, recall: number, f1: number, support: number];

function counts(tn: number, fp: number, fn: number, tp: number): ConfusionCounts {
  return { trueNegatives: tn, falsePositives: fp, falseNegatives: fn, truePositives: tp };
}

/** The last bit may differ: NumPy adds up before it divides. */
function close(value: number): unknown {
  return expect.closeTo(value, 15);
}

/*
 * What scikit-learn 1.9.1 answers, to the last digit:
 *
 *   y = [0] * (tn + fp) + [1] * (fn + tp)
 *   p = [0] * tn + [1] * fp + [0] * fn + [1] * tp
 *   classification_report(y, p, labels=[0, 1], output_dict=True, zero_division=0)
 */
test.each<
  [
    why: string,
    matrix: [tn: number, fp: number, fn: number, tp: number],
    zero: Scores,
    one: Scores,
    accuracy: number,
    macro: Scores,
    weighted: Scores,
  ]
>([
  [
    'classes of different size',
    [70, 10, 5, 15],
    [0.9333333333333333, 0.875, 0.9032258064516129, 80],
    [0.6, 0.75, 0.6666666666666666, 20],
    0.85,
    [0.7666666666666666, 0.8125, 0.7849462365591398, 100],
    [0.8666666666666667, 0.85, 0.8559139784946236, 100],
  ],
  [
    'a batch of thirty thousand',
    [16500, 6864, 2636, 4000],
    [0.8622491638795987, 0.7062146892655368, 0.7764705882352941, 23364],
    [0.36818851251840945, 0.6027727546714888, 0.45714285714285713, 6636],
    0.6833333333333333,
    [0.615218838199004, 0.6544937219685127, 0.6168067226890757, 30000],
    [0.7529629477985037, 0.6833333333333333, 0.705835294117647, 30000],
  ],
  [
    'a rare class among a million',
    [999999, 1, 1, 7],
    [0.999999, 0.999999, 0.999999, 1000000],
    [0.875, 0.875, 0.875, 8],
    0.9999980000159999,
    [0.9374994999999999, 0.9374994999999999, 0.9374994999999999, 1000008],
    [0.9999980000159999, 0.9999980000159999, 0.9999980000159999, 1000008],
  ],
  [
    'more ones than zeros',
    [2, 1, 7, 3],
    [0.2222222222222222, 0.6666666666666666, 0.3333333333333333, 3],
    [0.75, 0.3, 0.42857142857142855, 10],
    0.38461538461538464,
    [0.4861111111111111, 0.4833333333333333, 0.38095238095238093, 13],
    [0.6282051282051282, 0.38461538461538464, 0.4065934065934066, 13],
  ],
  ['everything right', [1, 0, 0, 1], [1, 1, 1, 1], [1, 1, 1, 1], 1, [1, 1, 1, 2], [1, 1, 1, 2]],
  ['everything wrong', [0, 3, 4, 0], [0, 0, 0, 3], [0, 0, 0, 4], 0, [0, 0, 0, 7], [0, 0, 0, 7]],
  [
    'nothing decided as 1: its precision is 0 / 0',
    [5, 0, 3, 0],
    [0.625, 1, 0.7692307692307693, 5],
    [0, 0, 0, 3],
    0.625,
    [0.3125, 0.5, 0.38461538461538464, 8],
    [0.390625, 0.625, 0.4807692307692308, 8],
  ],
  [
    'nothing decided as 0: its precision is 0 / 0',
    [0, 5, 0, 3],
    [0, 0, 0, 5],
    [0.375, 1, 0.5454545454545454, 3],
    0.375,
    [0.1875, 0.5, 0.2727272727272727, 8],
    [0.140625, 0.375, 0.20454545454545453, 8],
  ],
  [
    'only zeros, all right: class 1 is 0 / 0',
    [4, 0, 0, 0],
    [1, 1, 1, 4],
    [0, 0, 0, 0],
    1,
    [0.5, 0.5, 0.5, 4],
    [1, 1, 1, 4],
  ],
  [
    'only ones, all right: class 0 is 0 / 0',
    [0, 0, 0, 4],
    [0, 0, 0, 0],
    [1, 1, 1, 4],
    1,
    [0.5, 0.5, 0.5, 4],
    [1, 1, 1, 4],
  ],
  ['only zeros, all wrong', [0, 4, 0, 0], [0, 0, 0, 4], [0, 0, 0, 0], 0, [0, 0, 0, 4], [0, 0, 0, 4]],
  ['only ones, all wrong', [0, 0, 4, 0], [0, 0, 0, 0], [0, 0, 0, 4], 0, [0, 0, 0, 4], [0, 0, 0, 4]],
])('agrees with scikit-learn: %s', (_, matrix, zero, one, accuracy, macro, weighted) => {
  const support = matrix.reduce((sum, count) => sum + count);
  const expected: [name: string, scores: Scores][] = [
    ['0', zero],
    ['1', one],
    ['accuracy', [accuracy, accuracy, accuracy, support]],
    ['macro avg', macro],
    ['weighted avg', weighted],
  ];
  const report = classificationReport(counts(...matrix));
  expect(report.map((row) => row.class)).toEqual(expected.map(([name]) => name));
  for (const [index, [name, [precision, recall, f1Score, rows]]] of expected.entries()) {
    expect(report[index]).toEqual({
      class: name,
      precision: close(precision),
      recall: close(recall),
      f1Score: close(f1Score),
      support: rows,
    });
  }
});

test('nothing counted gives zeros, not NaN', () => {
  for (const row of classificationReport(noCounts)) {
    expect(row).toEqual({ class: row.class, precision: 0, recall: 0, f1Score: 0, support: 0 });
  }
});

describe('addCounts', () => {
  test('adds cell by cell and leaves both sums alone', () => {
    const a = Object.freeze(counts(1, 20, 300, 4000));
    const b = Object.freeze(counts(5, 60, 700, 8000));
    expect(addCounts(a, b)).toEqual(counts(6, 80, 1000, 12000));
    expect(addCounts(a, noCounts)).toEqual(a);
  });

  test('chunks added up give the report of the whole', () => {
    const chunks = [counts(10, 0, 5, 0), counts(60, 10, 0, 0), counts(0, 0, 0, 15)];
    expect(classificationReport(chunks.reduce(addCounts, noCounts))).toEqual(
      classificationReport(counts(70, 10, 5, 15)),
    );
  });
});
