/** Counts of a binary confusion matrix: rows whose true and decided class are as named. */
export interface ConfusionCounts {
  trueNegatives: number;
  falsePositives: number;
  falseNegatives: number;
  truePositives: number;
}

/** One row of the metrics table. */
export interface ReportRow {
  class: '0' | '1' | 'accuracy' | 'macro avg' | 'weighted avg';
  precision: number;
  recall: number;
  f1Score: number;
  /** Rows with this true class; all rows for the averages and for accuracy. */
  support: number;
}

export type ClassificationReport = ReportRow[];

export const noCounts: ConfusionCounts = { trueNegatives: 0, falsePositives: 0, falseNegatives: 0, truePositives: 0 };

export function addCounts(a: ConfusionCounts, b: ConfusionCounts): ConfusionCounts {
  return {
    trueNegatives: a.trueNegatives + b.trueNegatives,
    falsePositives: a.falsePositives + b.falsePositives,
    falseNegatives: a.falseNegatives + b.falseNegatives,
    truePositives: a.truePositives + b.truePositives,
  };
}

/**
 * The five rows of scikit-learn's `classification_report` for classes 0 and 1. A ratio with denominator 0 is 0, its
 * default. The accuracy row carries the accuracy in all three columns.
 * Source: scikit-learn, sklearn.metrics.precision_recall_fscore_support.
 */
export function classificationReport(counts: ConfusionCounts): ClassificationReport {
  const { trueNegatives, falsePositives, falseNegatives, truePositives } = counts;
  const zero = scores('0', trueNegatives, falseNegatives, falsePositives);
  const one = scores('1', truePositives, falsePositives, falseNegatives);
  const support = zero.support + one.support;
  const accuracy = ratio(trueNegatives + truePositives, support);
  return [
    zero,
    one,
    { class: 'accuracy', precision: accuracy, recall: accuracy, f1Score: accuracy, support },
    average('macro avg', zero, one, 0.5, 0.5, support),
    average('weighted avg', zero, one, ratio(zero.support, support), ratio(one.support, support), support),
  ];
}

/** `hits` of the class, rows `wrongly` given to it, rows `missed` by it. */
function scores(name: '0' | '1', hits: number, wrongly: number, missed: number): ReportRow {
  return {
    class: name,
    precision: ratio(hits, hits + wrongly),
    recall: ratio(hits, hits + missed),
    f1Score: ratio(2 * hits, 2 * hits + wrongly + missed),
    support: hits + missed,
  };
}

function average(
  name: 'macro avg' | 'weighted avg',
  zero: ReportRow,
  one: ReportRow,
  zeroWeight: number,
  oneWeight: number,
  support: number,
): ReportRow {
  return {
    class: name,
    precision: zero.precision * zeroWeight + one.precision * oneWeight,
    recall: zero.recall * zeroWeight + one.recall * oneWeight,
    f1Score: zero.f1Score * zeroWeight + one.f1Score * oneWeight,
    support,
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
