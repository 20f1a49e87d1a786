import { expect } from '@jest/globals';
import { printFigure } from './figures.ts';
import { expectedReport, referenceData } from './reference-data.ts';

type Row = Record<string, unknown>;

/** Result rows, in the order of the reference rows, are the original model's: decisions exactly, probabilities to 2e-7. */
export function expectOriginalProbabilities(scored: Row[]): void {
  const expected = referenceData.expected();
  let worst = 0;
  for (const [row, { prob_0, prob_1, decision }] of scored.entries()) {
    const original = expected[row] as { prob_0: number; prob_1: number };
    worst = Math.max(worst, Math.abs(Number(prob_0) - original.prob_0), Math.abs(Number(prob_1) - original.prob_1));
    expect(Number(decision)).toBe(original.prob_1 > 0.25 ? 1 : 0);
  }
  printFigure(`largest difference from the original model: ${worst.toExponential(2)}`);
  expect(worst).toBeLessThanOrEqual(2e-7);
}

/** Metrics rows are those of the original service, to 1e-12. */
export function expectOriginalReport(report: Row[]): void {
  for (const row of report) {
    const [precision, recall, f1, support] = expectedReport[String(row['class'])] ?? [];
    expect(Math.abs(Number(row['precision']) - Number(precision))).toBeLessThan(1e-12);
    expect(Math.abs(Number(row['recall']) - Number(recall))).toBeLessThan(1e-12);
    expect(Math.abs(Number(row['F1SCORE']) - Number(f1))).toBeLessThan(1e-12);
    expect(Number(row['support'])).toBe(support);
    expect(row).toMatchObject({ model: 'credit-default', model_version: '1', threshold: 0.25 });
  }
}
