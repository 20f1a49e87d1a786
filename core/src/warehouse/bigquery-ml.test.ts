import { describe, expect, test } from '@jest/globals';
import { validateRiskModel } from '../riskmodel/manifest.ts';
import type { RiskModel } from '../riskmodel/zz_generated.riskmodel.ts';
import {
  countOutcomesSql,
  countRowsSql,
  createModelSql,
  scoreRowsSql,
  type SourceTableColumn,
  type WarehouseScoring,
} from './bigquery-ml.ts';

function manifestOf(spec: object): RiskModel {
  const { model, problems } = validateRiskModel({
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name: 'credit' },
    spec: { artifact: { uri: 'gs://models/a.onnx', format: 'ONNX' }, decision: { threshold: 0.25 }, ...spec },
  });
  expect(problems).toEqual([]);
  return model as RiskModel;
}

function scoringOf(spec: object, columns: SourceTableColumn[]): WarehouseScoring {
  return {
    manifest: manifestOf(spec),
    batchId: 'batch-1',
    modelVersion: "it's 1",
    modelSha256: 'abc',
    predDatetime: '2026-11-24T10:00:00.000Z',
    source: 'bank.risk.applicants',
    columns,
    results: 'bank.risk.risk_model_results',
    model: 'bank.risk.riskmodel_credit_abc',
    inputName: 'input',
    outputName: 'probabilities',
  };
}

function feature(name: string, sourceType: string, type: SourceTableColumn['type'] = 'FLOAT64'): SourceTableColumn {
  return { name, type, sourceType, role: 'feature' };
}

/** The columns' values as numbers. */
function age(row: string): string {
  return `CAST(${row}.\`AGE\` AS FLOAT64)`;
}

function ratio(row: string): string {
  return `IF(IS_NAN(${row}.\`RATIO\`), NULL, ${row}.\`RATIO\`)`;
}

test('a model is imported under its name, once', () => {
  expect(createModelSql('bank.risk.riskmodel_credit_abc', "gs://models/it's/a.onnx")).toBe(
    "CREATE MODEL IF NOT EXISTS `bank.risk.riskmodel_credit_abc` OPTIONS (MODEL_TYPE = 'ONNX', MODEL_PATH = 'gs://models/it\\'s/a.onnx')",
  );
});

test('one statement scores the rows that fit, with all columns of the results', () => {
  const scoring = scoringOf(
    {
      features: [
        { name: 'AGE', type: 'Integer', minimum: 18, maximum: 120 },
        { name: 'RATIO', type: 'Number', whenMissing: 'Default', default: 0.5 },
      ],
      identifier: 'id',
      target: 'outcome',
    },
    [
      { name: 'id', type: 'STRING', sourceType: 'INT64', role: 'identifier' },
      feature('AGE', 'INT64', 'INT64'),
      feature('RATIO', 'FLOAT64'),
      { name: 'outcome', type: 'INT64', sourceType: 'INT64', role: 'target' },
      { name: 'tags', type: 'STRING', sourceType: 'ARRAY<STRING>', role: 'other' },
    ],
  );
  const row = 'p.riskmodel_row';
  const largest = '3.4028234663852886e+38';
  expect(scoreRowsSql(scoring).split('\n')).toEqual([
    'INSERT INTO `bank.risk.risk_model_results` (`id`, `AGE`, `RATIO`, `outcome`, `tags`, `prob_0`, `prob_1`, `pred_datetime`, `decision`, `record_index`, `batch_id`, `model`, `model_version`, `model_sha256`)',
    `SELECT CAST(${row}.\`id\` AS STRING), CAST(${age(row)} AS INT64), ${ratio(row)}, CAST(CAST(${row}.\`outcome\` AS FLOAT64) AS INT64), TO_JSON_STRING(${row}.\`tags\`), ` +
      "p.`probabilities`[OFFSET(0)], p.`probabilities`[OFFSET(1)], TIMESTAMP '2026-11-24T10:00:00.000Z', CAST(p.`probabilities`[OFFSET(1)] > CAST('0.25' AS FLOAT64) AS INT64), " +
      "CAST(NULL AS INT64), 'batch-1', 'credit', 'it\\'s 1', 'abc'",
    'FROM ML.PREDICT(MODEL `bank.risk.riskmodel_credit_abc`, (',
    `  SELECT r AS riskmodel_row, [${age('r')}, IFNULL(${ratio('r')}, CAST('0.5' AS FLOAT64))] AS \`input\``,
    "  FROM `bank.risk.applicants` AS r FOR SYSTEM_TIME AS OF TIMESTAMP '2026-11-24T10:00:00.000Z' WHERE " +
      `IFNULL(${age('r')} BETWEEN CAST('18' AS FLOAT64) AND CAST('120' AS FLOAT64) AND ${age('r')} = TRUNC(${age('r')}), FALSE) AND ` +
      `IFNULL(${ratio('r')} BETWEEN CAST('-${largest}' AS FLOAT64) AND CAST('${largest}' AS FLOAT64), TRUE) AND ` +
      'IFNULL(CAST(r.`outcome` AS FLOAT64) IN (0, 1), TRUE))) AS p',
  ]);
});

describe('the rows that fit are those', () => {
  test.each<[why: string, feature: object, column: SourceTableColumn | undefined, condition: string]>([
    [
      'of codes, whole',
      { type: 'Categorical', codes: [1, 2] },
      feature('F', 'NUMERIC'),
      "BETWEEN CAST('-9007199254740991' AS FLOAT64) AND CAST('9007199254740991' AS FLOAT64) AND CAST(r.`F` AS FLOAT64) = TRUNC(CAST(r.`F` AS FLOAT64)) AND CAST(r.`F` AS FLOAT64) IN (CAST('1' AS FLOAT64), CAST('2' AS FLOAT64)), FALSE)",
    ],
    [
      'of booleans',
      { type: 'Boolean' },
      feature('F', 'BOOL', 'BOOL'),
      "IFNULL(CAST(CAST(r.`F` AS INT64) AS FLOAT64) BETWEEN CAST('0' AS FLOAT64) AND CAST('1' AS FLOAT64) AND",
    ],
    [
      'that lack a feature which may be missing',
      { type: 'Number', whenMissing: 'NaN' },
      feature('F', 'INT64'),
      ', TRUE)',
    ],
  ])('%s', (_, spec, column, condition) => {
    const scoring = scoringOf({ features: [{ name: 'F', ...spec }] }, column === undefined ? [] : [column]);
    expect(countRowsSql(scoring)).toContain(condition);
    expect(scoreRowsSql(scoring)).toContain(condition);
  });
});

test('a feature that the table lacks is missing everywhere', () => {
  const features = [
    { name: 'AGE', type: 'Number' },
    { name: 'GONE', type: 'Number', whenMissing: 'NaN' },
  ];
  expect(scoreRowsSql(scoringOf({ features }, [feature('AGE', 'INT64')]))).toContain(
    "[CAST(r.`AGE` AS FLOAT64), IFNULL(CAST(NULL AS FLOAT64), CAST('NaN' AS FLOAT64))] AS `input`",
  );
});

test('names and texts end where they are meant to', () => {
  const scoring = scoringOf({ features: [{ name: 'AGE', type: 'Number' }] }, [
    feature('AGE', 'INT64'),
    { name: 'a`, (SELECT 1)', type: 'STRING', sourceType: 'STRING', role: 'other' },
  ]);
  const sql = scoreRowsSql({ ...scoring, batchId: "x'); DROP TABLE t; --\\" });
  expect(sql).toContain('p.riskmodel_row.`a\\`, (SELECT 1)`');
  expect(sql).toContain("'x\\'); DROP TABLE t; --\\\\'");
});

test('outcomes are counted from what was written, and of the batch alone', () => {
  const scoring = scoringOf({ features: [{ name: 'AGE', type: 'Number' }], target: 'outcome' }, []);
  expect(countOutcomesSql(scoring)).toBe(
    "SELECT `outcome` AS outcome, decision, COUNT(*) AS n FROM `bank.risk.risk_model_results` WHERE pred_datetime = TIMESTAMP '2026-11-24T10:00:00.000Z' AND batch_id = 'batch-1' AND `outcome` IS NOT NULL GROUP BY outcome, decision",
  );
});
