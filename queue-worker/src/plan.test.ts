import { describe, expect, test } from '@jest/globals';
import { validateRiskModel } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { fingerprint, matchColumns, matchFeatureColumns } from './plan.ts';

const manifest = manifestOf({
  features: [
    { name: 'AGE', type: 'Integer' },
    { name: 'RATIO', type: 'Number' },
    { name: 'OWNER', type: 'Boolean' },
    { name: 'SEX', type: 'Categorical', codes: [1, 2], whenMissing: 'Default', default: 1 },
    { name: 'SCORE', type: 'Number', whenMissing: 'NaN' },
  ],
  identifier: 'customer',
  target: 'outcome',
});

function manifestOf(spec: object): RiskModel {
  const { model, problems } = validateRiskModel({
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name: 'credit' },
    spec: { artifact: { uri: 'gs://models/a.onnx', format: 'ONNX' }, ...spec },
  });
  expect(problems).toEqual([]);
  return model as RiskModel;
}

const needed = [{ name: 'AGE' }, { name: 'RATIO' }, { name: 'OWNER' }];

describe('the columns of a batch', () => {
  test('of text keep their order, and have the role and type that the manifest gives them', () => {
    const source = ['note', 'RATIO', 'customer', 'AGE', 'outcome', 'OWNER', 'SEX', 'SCORE'].map((name) => ({ name }));
    expect(matchColumns(manifest, source)).toEqual([
      { name: 'note', role: 'other', type: 'STRING' },
      { name: 'RATIO', role: 'feature', type: 'FLOAT64' },
      { name: 'customer', role: 'identifier', type: 'STRING' },
      { name: 'AGE', role: 'feature', type: 'INT64' },
      { name: 'outcome', role: 'target', type: 'INT64' },
      { name: 'OWNER', role: 'feature', type: 'BOOL' },
      { name: 'SEX', role: 'feature', type: 'INT64' },
      { name: 'SCORE', role: 'feature', type: 'FLOAT64' },
    ]);
  });

  test.each([
    ['TINYINT', 'INT64'],
    ['SMALLINT', 'INT64'],
    ['INTEGER', 'INT64'],
    ['BIGINT', 'INT64'],
    ['UTINYINT', 'INT64'],
    ['USMALLINT', 'INT64'],
    ['UINTEGER', 'INT64'],
    // Beyond what INT64 holds.
    ['UBIGINT', 'STRING'],
    ['HUGEINT', 'STRING'],
    ['FLOAT', 'FLOAT64'],
    ['DOUBLE', 'FLOAT64'],
    ['DECIMAL(18,3)', 'FLOAT64'],
    ['BOOLEAN', 'BOOL'],
    ['DATE', 'DATE'],
    ['TIMESTAMP', 'DATETIME'],
    ['TIMESTAMP WITH TIME ZONE', 'TIMESTAMP'],
    ['TIMESTAMP_NS', 'DATETIME'],
    ['TIME', 'STRING'],
    ['VARCHAR', 'STRING'],
    ['BLOB', 'STRING'],
    ['UUID', 'STRING'],
    ['STRUCT(a INTEGER)', 'STRING'],
    ['INTEGER[]', 'STRING'],
  ])('that pass through as %s are written as %s', (sourceType, type) => {
    const columns = matchColumns(manifest, [...needed, { name: 'x', type: sourceType }]);
    expect(columns.at(-1)).toEqual({ name: 'x', role: 'other', type, sourceType });
  });

  test.each(['DOUBLE', 'HUGEINT', 'UBIGINT', 'DECIMAL(9,2)', 'BOOLEAN', 'VARCHAR', 'UTINYINT'])(
    'that are features or the outcome may be %s',
    (type) => {
      const source = ['AGE', 'RATIO', 'OWNER', 'outcome'].map((name) => ({ name, type }));
      expect(matchColumns(manifest, source)).toMatchObject([
        { type: 'INT64', sourceType: type },
        { type: 'FLOAT64', sourceType: type },
        { type: 'BOOL', sourceType: type },
        { type: 'INT64', sourceType: type },
      ]);
    },
  );

  test.each(['DATE', 'TIMESTAMP', 'BLOB', 'STRUCT(VARCHAR)', 'DOUBLE[]', 'ENUM(DOUBLE)', 'INTERVAL'])(
    'that are features or the outcome may not be %s',
    (type) => {
      for (const name of ['AGE', 'outcome']) {
        const source = [...needed.filter((column) => column.name !== name), { name, type }];
        expect(() => matchColumns(manifest, source)).toThrow(
          expect.objectContaining({
            code: 'UnsupportedColumnType',
            message: `the input's column "${name}" has the type ${type}; it must hold numbers`,
          }),
        );
      }
    },
  );

  test('may lack those that the manifest can do without', () => {
    expect(matchColumns(manifest, needed).map(({ name }) => name)).toEqual(['AGE', 'RATIO', 'OWNER']);
  });

  test.each([
    [['AGE', 'RATIO'], 'the input lacks the column OWNER, which the model needs'],
    [['RATIO'], 'the input lacks the columns AGE, OWNER, which the model needs'],
    [
      ['RATIO', 'age', 'OWNER'],
      'the input lacks the column AGE, which the model needs (it has "age": names are case-sensitive)',
    ],
  ])('%j are refused with all that is missing', (names, message) => {
    const source = names.map((name) => ({ name }));
    expect(() => matchColumns(manifest, source)).toThrow(expect.objectContaining({ code: 'MissingColumns', message }));
  });

  test.each(['prob_0', 'PROB_1', 'record_index', 'Model', 'batch_id'])('may not be named %s', (name) => {
    expect(() => matchColumns(manifest, [...needed, { name }])).toThrow(
      expect.objectContaining({
        code: 'ReservedColumn',
        message: `the input's column "${name}" has the name of a result column: rename it`,
      }),
    );
  });

  test('of a manifest without identifier and target have neither', () => {
    const bare = manifestOf({ features: [{ name: 'AGE', type: 'Integer' }] });
    const columns = matchColumns(
      bare,
      ['AGE', 'customer', 'target'].map((name) => ({ name })),
    );
    expect(columns.map(({ role }) => role)).toEqual(['feature', 'other', 'other']);
  });
});

test('a fingerprint is short, the same for the same and another for anything else', () => {
  const print = fingerprint({ a: 1, b: [2] }, 'x');
  expect(print).toMatch(/^[0-9a-f]{16}$/);
  expect(fingerprint({ a: 1, b: [2] }, 'x')).toBe(print);
  const others = [
    fingerprint({ a: 1, b: [3] }, 'x'),
    fingerprint({ a: 1, b: [2] }),
    fingerprint([{ a: 1, b: [2] }, 'x']),
  ];
  expect(new Set([print, ...others]).size).toBe(4);
});

test.each(['age', 'sex', 'Customer', 'OUTCOME'])(
  'a column "%s" that differs in case only is refused, not passed through',
  (name) => {
    expect(() => matchColumns(manifest, [...needed, { name }])).toThrow(
      expect.objectContaining({
        code: 'MisspelledColumn',
        message: expect.stringContaining('names are case-sensitive'),
      }),
    );
  },
);

function named(...names: string[]): { name: string }[] {
  return names.map((name) => ({ name }));
}

describe('the columns of features to load', () => {
  test('are the identifier and those of features; all others are read over, whatever their names', () => {
    expect(matchFeatureColumns(manifest, named('customer', 'AGE', 'outcome', 'model'))).toEqual([
      { name: 'customer', role: 'identifier', type: 'STRING' },
      { name: 'AGE', role: 'feature', type: 'INT64' },
      { name: 'outcome', role: 'other', type: 'STRING' },
      { name: 'model', role: 'other', type: 'STRING' },
    ]);
  });

  test.each([
    [named('AGE'), "the input lacks the identifier's column customer"],
    [named('customer', 'note'), 'the input lacks the column of any feature'],
    [named('customer', 'age'), 'is "AGE" in the manifest'],
    [[{ name: 'customer' }, { name: 'AGE', type: 'DATE' }], 'it must hold numbers'],
  ])('%j are refused', (columns, message) => {
    expect(() => matchFeatureColumns(manifest, columns)).toThrow(message);
  });
});

test('a model whose predictions are looked up needs the column of the identifier', () => {
  const { spec, ...rest } = manifest;
  const looked: RiskModel = { ...rest, spec: { ...spec, batch: { ...spec.batch, lookup: { ttl: '1h' } } } };
  expect(() => matchColumns(looked, needed)).toThrow("lacks the identifier's column customer");
  expect(matchColumns(looked, [...needed, { name: 'customer' }])).toHaveLength(4);
});
