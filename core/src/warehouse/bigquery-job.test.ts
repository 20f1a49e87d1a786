import { describe, expect, test } from '@jest/globals';
import { jobId, labels } from './bigquery-job.ts';

describe("a job's id", () => {
  test('says what it is, and is made of what BigQuery takes', () => {
    const id = jobId('load', ['risk', 'results', '8ec77c88-4c95-4b85-a83d-3991867218bb']);
    expect(id).toMatch(/^riskmodel-load-8ec77c88-4c95-4b85-a83d-3991867218bb-[0-9a-f]{16}$/);
    expect(jobId('load', ['risk', 'a/b c.é', 'x'.repeat(2_000)])).toMatch(/^[\w-]{1,300}$/);
  });

  test('is the same for the same subject, and another for each other one', () => {
    const subjects = [
      ['risk', 'results', 'a'],
      ['risk', 'metrics', 'a'],
      ['other', 'results', 'a'],
      ['risk', 'results', 'b'],
      ['risk', 'results', 'a/b'],
      ['risk', 'results', 'a.b'],
      ['risk-results', 'a'],
    ];
    expect(new Set(subjects.map((subject) => jobId('load', subject))).size).toBe(subjects.length);
    expect(jobId('load', ['risk', 'results', 'a'])).toBe(jobId('load', ['risk', 'results', 'a']));
    expect(jobId('predict', ['risk', 'results', 'a'])).not.toBe(jobId('load', ['risk', 'results', 'a']));
  });
});

test.each([
  ['credit-default', 'credit-default'],
  ['Credit.Default', 'credit_default'],
  ['kredit-größe', 'kredit-gr__e'],
  ['m'.repeat(80), 'm'.repeat(63)],
])('the label of %s is %s', (value, label) => {
  expect(labels({ model: value })).toEqual({ model: label });
});
