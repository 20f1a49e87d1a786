import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Engine, identifier, literal } from '@riskmodel/core/columnar/engine.ts';
import { validateRiskModel } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { BatchPlan, InputColumn } from '../plan.ts';
import { double, modelColumns, timestamp, workingColumns, writtenColumns } from './columns-sql.ts';

let folder: string;
let engine: Engine;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'columns-sql-'));
  engine = await Engine.open({ threads: 1, memoryLimit: 200e6, tempDir: folder });
});

afterAll(async () => {
  engine.close();
  await rm(folder, { recursive: true, force: true });
});

/** The rows of a query, as objects of JavaScript's own values. */
function query(sql: string): Promise<Record<string, unknown>[]> {
  return engine.use(async (connection) => (await connection.runAndReadAll(sql)).getRowObjectsJS());
}

/** What one value of a column is in the working table. */
async function working(column: InputColumn, value: string): Promise<unknown> {
  const name = identifier(column.name);
  const [row] = await query(`SELECT ${workingColumns([column])} FROM (SELECT ${value} AS ${name})`);
  expect(Object.keys(row as object)).toEqual([column.name]);
  return row?.[column.name];
}

const number: InputColumn = { name: 'RATIO', role: 'feature', type: 'FLOAT64' };
const integer: InputColumn = { name: 'AGE', role: 'feature', type: 'INT64' };
const boolean: InputColumn = { name: 'OWNER', role: 'feature', type: 'BOOL' };
const target: InputColumn = { name: 'outcome', role: 'target', type: 'INT64' };

describe('a feature that is text', () => {
  test.each<[text: string, expected: number, why: string]>([
    ['12', 12, 'an integer'],
    ['-12.5', -12.5, 'a fraction'],
    [' 12 ', 12, 'white space around a number'],
    ['\t7\n', 7, 'white space around a number'],
    ['1e3', 1000, 'an exponent'],
    ['1E-3', 0.001, 'an exponent'],
    ['+5', 5, 'a sign'],
    ['.5', 0.5, 'no digit before the point'],
    ['5.', 5, 'no digit after the point'],
    ['-0', -0, 'minus zero'],
    ['0.1', 0.1, 'the double that JavaScript reads, to the last bit'],
    ['9007199254740993', 9007199254740992, 'an integer that a double rounds'],
    ['123456789012345678901234567890', 1.2345678901234568e29, 'an integer beyond 64 bits'],
    ['1e-400', 0, 'too small to be told from 0'],
    ['1_000', 1000, "SQL's underscores between digits"],
    ['inf', Infinity, 'infinity, which the encoder refuses'],
    ['-Infinity', -Infinity, 'infinity, which the encoder refuses'],
    ['1e999', Infinity, 'too large, which the encoder refuses as online'],
    ['nan', Number.NaN, 'NaN as text is no number'],
    ['NaN', Number.NaN, 'NaN as text is no number'],
    ['', Number.NaN, 'an empty text is there, but no number'],
    [' ', Number.NaN, 'white space is no number'],
    ['0x10', Number.NaN, 'hexadecimal is no number'],
    ['1,5', Number.NaN, 'a decimal comma is no number'],
    ['1 000', Number.NaN, 'digits in groups are no number'],
    ['12abc', Number.NaN, 'a number with something after it'],
    ['null', Number.NaN, 'a word'],
    ['{"a":1}', Number.NaN, 'an object of JSON'],
    ['[1]', Number.NaN, 'an array of JSON'],
    ['١', Number.NaN, 'digits of another script'],
    ["'; DROP TABLE rows; --", Number.NaN, 'a text that means to be SQL'],
  ])('%j is %p: %s', async (text, expected, why) => {
    for (const column of [number, { ...number, sourceType: 'VARCHAR' }, integer, boolean, target]) {
      expect({ why, column, value: await working(column, literal(text)) }).toEqual({ why, column, value: expected });
    }
  });

  test.each<[text: string, expected: number]>([
    ['true', 1],
    ['TRUE', 1],
    ['False', 0],
    ['t', Number.NaN],
    ['yes', Number.NaN],
  ])('%j is %p where a truth value may be, and no number elsewhere', async (text, expected) => {
    for (const column of [boolean, target]) expect(await working(column, literal(text))).toBe(expected);
    for (const column of [number, integer]) expect(await working(column, literal(text))).toBeNaN();
  });

  test('that is missing is NULL', async () => {
    for (const column of [number, integer, boolean, target]) {
      expect(await working(column, 'NULL::VARCHAR')).toBeNull();
    }
  });

  test('is what JSON says, value by value', async () => {
    const file = join(folder, 'values.ndjson');
    const values = ['5', '5.0', '-1e3', '"5"', 'true', 'null', '{"a": 1}', '1e999'];
    await writeFile(file, values.map((value) => `{"RATIO": ${value}}\n`).join('') + '{}\n');
    const rows = await query(
      `SELECT ${workingColumns([number])} FROM read_json(${literal(file)}, format = 'newline_delimited', columns = {RATIO: 'VARCHAR'})`,
    );
    expect(rows.map((row) => row['RATIO'])).toEqual([5, 5, -1000, 5, Number.NaN, null, Number.NaN, Infinity, null]);
  });
});

describe('a feature of a Parquet type', () => {
  test.each<[type: string, value: string, expected: number | null, why: string]>([
    ['DOUBLE', `'NaN'::DOUBLE`, null, 'data frames write a missing float as NaN'],
    ['FLOAT', `'NaN'::FLOAT`, null, 'data frames write a missing float as NaN'],
    ['DOUBLE', `'inf'::DOUBLE`, Infinity, 'infinity, which the encoder refuses'],
    ['DOUBLE', `0.1::DOUBLE`, 0.1, 'unchanged'],
    ['FLOAT', `0.1::FLOAT`, Math.fround(0.1), 'the float32 that it is'],
    ['DOUBLE', 'NULL::DOUBLE', null, 'missing'],
    ['DECIMAL(18,3)', '12.345::DECIMAL(18,3)', 12.345, 'the nearest double'],
    ['DECIMAL(38,10)', '0.1::DECIMAL(38,10)', 0.1, 'the nearest double'],
    ['HUGEINT', '170141183460469231731687303715884105727::HUGEINT', 2 ** 127, 'the nearest double'],
    ['UBIGINT', '18446744073709551615::UBIGINT', 2 ** 64, 'the nearest double'],
    ['BOOLEAN', 'true', 1, 'true is 1'],
    ['BOOLEAN', 'false', 0, 'false is 0'],
    ['BOOLEAN', 'NULL::BOOLEAN', null, 'missing'],
  ])('%s %s is %p: %s', async (sourceType, value, expected, why) => {
    for (const column of [number, integer, boolean, target]) {
      const found = await working({ ...column, sourceType }, value);
      expect({ why, role: column.role, found }).toEqual({ why, role: column.role, found: expected });
    }
  });
});

describe('a feature of an integer type', () => {
  const types: [type: string, value: string, expected: number | null, why: string][] = [
    ['BIGINT', '9007199254740993::BIGINT', 9007199254740992, 'rounded, and refused by the encoder as beyond 2^53'],
    ['BIGINT', '-9007199254740991::BIGINT', -9007199254740991, 'unchanged'],
    ['INTEGER', '-5::INTEGER', -5, 'unchanged'],
    ['UINTEGER', '4294967295::UINTEGER', 4294967295, 'unchanged'],
    ['TINYINT', 'NULL::TINYINT', null, 'missing'],
  ];
  test.each(types)('%s %s comes to the model as %p: %s', async (sourceType, value, expected) => {
    const column = { ...integer, sourceType };
    const sql = `SELECT ${workingColumns([column])} FROM (SELECT ${value} AS "AGE")`;
    const [row] = await query(`SELECT CAST("AGE" AS DOUBLE) AS value FROM (${sql})`);
    expect(row?.['value']).toBe(expected);
  });

  test.each<[type: InputColumn['type'], expected: unknown]>([
    ['INT64', 7n],
    ['FLOAT64', 7],
    ['BOOL', true],
  ])('is written as %s, whatever it was', async (type, expected) => {
    const column: InputColumn = { ...integer, type, sourceType: 'SMALLINT' };
    const plan = {
      manifest: manifestOf(),
      modelVersion: '1',
      modelSha256: 'a',
      columns: [column],
      predDatetime: '2025-03-01T10:00:00Z',
    };
    const working = `SELECT ${workingColumns([column])} FROM (SELECT 7::SMALLINT AS "AGE")`;
    const [row] = await query(
      `SELECT ${writtenColumns(plan as unknown as BatchPlan, 'b')} FROM (${working}) AS r
       POSITIONAL JOIN (SELECT 0.5::DOUBLE AS prob_0, 0.5::DOUBLE AS prob_1, 0.0::DOUBLE AS record_index) AS s`,
    );
    expect(row?.['AGE']).toBe(expected);
  });
});

describe('a column that passes through', () => {
  test.each<[type: InputColumn['type'], sourceType: string | undefined, value: string, expected: unknown]>([
    ['STRING', undefined, `' as it is '`, ' as it is '],
    ['STRING', undefined, `''`, ''],
    ['STRING', undefined, 'NULL::VARCHAR', null],
    ['STRING', 'BIGINT', '007::BIGINT', '7'],
    ['STRING', 'UBIGINT', '18446744073709551615::UBIGINT', '18446744073709551615'],
    ['STRING', 'STRUCT(a INTEGER)', '{a: 1}', `{'a': 1}`],
    ['INT64', 'UTINYINT', '255::UTINYINT', 255n],
    ['FLOAT64', 'DECIMAL(9,2)', '1.25::DECIMAL(9,2)', 1.25],
    ['FLOAT64', 'DOUBLE', `'NaN'::DOUBLE`, Number.NaN],
    ['BOOL', 'BOOLEAN', 'true', true],
  ])('as %s from %s keeps its value: %s', async (type, sourceType, value, expected) => {
    const column: InputColumn = {
      name: 'x',
      role: 'other',
      type,
      ...(sourceType === undefined ? {} : { sourceType }),
    };
    expect(await working(column, value)).toEqual(expected);
  });

  test('as the identifier is text, whatever it was', async () => {
    const column: InputColumn = { name: 'customer', role: 'identifier', type: 'STRING', sourceType: 'BIGINT' };
    expect(await working(column, '42::BIGINT')).toBe('42');
  });
});

const awkward = `a "b" 'c'; -- , $1 ä`;

function manifestOf(threshold = 0.25): RiskModel {
  const { model, problems } = validateRiskModel({
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name: 'credit' },
    spec: {
      artifact: { uri: 'gs://models/a.onnx', format: 'ONNX' },
      features: [
        { name: 'RATIO', type: 'Number' },
        { name: 'AGE', type: 'Integer', whenMissing: 'NaN' },
        { name: 'OWNER', type: 'Boolean', whenMissing: 'NaN' },
      ],
      target: 'outcome',
      decision: { threshold },
    },
  });
  expect(problems).toEqual([]);
  return model as RiskModel;
}

describe("the model's columns", () => {
  test("are in the manifest's order, then the target; what the input lacks is missing", async () => {
    const sql = modelColumns(manifestOf(), [target, boolean, number]);
    const rows = await engine.use(async (connection) =>
      (
        await connection.runAndReadAll(`SELECT ${sql} FROM (SELECT 1.0 AS outcome, 2.0 AS OWNER, 3.0 AS RATIO)`)
      ).getRowsJS(),
    );
    expect(rows.map((row) => row.map((value) => (value === null ? null : Number(value))))).toEqual([[3, null, 2, 1]]);
  });
});

describe('the written columns', () => {
  const columns: InputColumn[] = [{ name: awkward, role: 'other', type: 'STRING' }, target, integer, boolean, number];

  function planOf(threshold: number): BatchPlan {
    return {
      manifest: manifestOf(threshold),
      modelVersion: `it's "2"`,
      modelSha256: 'ab12',
      columns,
      predDatetime: '2025-03-01T10:00:00.123Z',
    } as BatchPlan;
  }

  function write(prob1: string, threshold: number, values: string): Promise<Record<string, unknown>[]> {
    return query(
      `SELECT ${writtenColumns(planOf(threshold), "b'1")}
       FROM (SELECT ${values}) AS r
       POSITIONAL JOIN (SELECT 0.75::DOUBLE AS prob_0, ${prob1} AS prob_1, 41.0::DOUBLE AS record_index) AS s`,
    );
  }
  const values = `'x' AS ${identifier(awkward)}, 1.0::DOUBLE AS outcome, 9007199254740991::DOUBLE AS AGE, 1.0::DOUBLE AS OWNER, 0.1::DOUBLE AS RATIO`;
  const missing = `NULL::VARCHAR AS ${identifier(awkward)}, NULL::DOUBLE AS outcome, NULL::DOUBLE AS AGE, NULL::DOUBLE AS OWNER, NULL::DOUBLE AS RATIO`;

  test("are the input's in its order, then those of the contract, with names and texts of any kind", async () => {
    const rows = await write('0.3::DOUBLE', 0.25, values);
    expect(rows).toEqual([
      {
        [awkward]: 'x',
        outcome: 1n,
        AGE: 9007199254740991n,
        OWNER: true,
        RATIO: 0.1,
        prob_0: 0.75,
        prob_1: 0.3,
        pred_datetime: new Date('2025-03-01T10:00:00.123Z'),
        decision: 1n,
        record_index: 41n,
        batch_id: "b'1",
        model: 'credit',
        model_version: `it's "2"`,
        model_sha256: 'ab12',
      },
    ]);
    expect(Object.keys(rows[0] as object)).toEqual([
      ...columns.map(({ name }) => name),
      'prob_0',
      'prob_1',
      'pred_datetime',
      'decision',
      'record_index',
      'batch_id',
      'model',
      'model_version',
      'model_sha256',
    ]);
  });

  test('leave missing what was missing', async () => {
    const [row] = await write('0.3::DOUBLE', 0.25, missing);
    expect(row).toMatchObject({ [awkward]: null, outcome: null, AGE: null, OWNER: null, RATIO: null });
  });

  test.each<[prob1: number, threshold: number, decision: bigint]>([
    [0.25, 0.25, 0n],
    [Math.fround(0.1), 0.1, 1n],
    [Math.fround(0.7), 0.7, 0n],
    [0.30000000000000004, 0.3, 1n],
    [0, 0, 0n],
    [1e-300, 0, 1n],
  ])('decide %p with the threshold %p as online does: %p', async (prob1, threshold, decision) => {
    const [row] = await write(double(prob1), threshold, values);
    expect(row?.['decision']).toBe(decision);
    expect(prob1 > threshold).toBe(decision === 1n);
  });
});

describe('numbers and times in SQL', () => {
  test.each([0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 1e21, 0.30000000000000004])(
    'the double %p is itself',
    async (value) => {
      expect((await query(`SELECT ${double(value)} AS v`))[0]?.['v']).toBe(value);
    },
  );

  test('a moment is UTC, to the microsecond, whatever the zone of the machine', async () => {
    const rows = await engine.use(async (connection) => {
      await connection.run(`SET TimeZone = 'Asia/Tokyo'`);
      const sql = `SELECT epoch_us(${timestamp('2025-03-01T10:00:00.123Z')})::VARCHAR`;
      return (await connection.runAndReadAll(sql)).getRowsJS();
    });
    expect(rows).toEqual([[`${Date.parse('2025-03-01T10:00:00.123Z')}000`]]);
  });
});
