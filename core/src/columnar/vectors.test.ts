import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Engine, identifier, literal } from './engine.ts';
import { appendScores, doubleColumn, isValid, scoreColumns, vectorSize } from './vectors.ts';

let engine: Engine;

beforeAll(async () => {
  engine = await Engine.open({ threads: 1, memoryLimit: 200e6, tempDir: tmpdir() });
});

afterAll(() => engine.close());

/** More than one vector, and no multiple of 8. */
const rows = 2 * vectorSize + 13;

test('a column of a result is its doubles and which of them are there', async () => {
  const found: (number | null)[][] = [[], []];
  await engine.use(async (connection) => {
    const stream = await connection.stream(
      `SELECT i::DOUBLE, CASE WHEN i % 3 <> 0 THEN i / 7 END::DOUBLE FROM range(${rows}) t(i)`,
    );
    for (;;) {
      const chunk = await stream.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) break;
      for (const [column, values] of found.entries()) {
        const read = doubleColumn(chunk, column);
        expect(read.values).toHaveLength(chunk.rowCount);
        for (const [row, value] of read.values.entries()) values.push(isValid(read.valid, row) ? value : null);
      }
    }
  });
  const numbers = Array.from({ length: rows }, (_, i) => i);
  expect(found[0]).toEqual(numbers);
  expect(found[1]).toEqual(numbers.map((i) => (i % 3 === 0 ? null : i / 7)));
});

test('scores are appended as they are, over the ends of vectors, from views into larger arrays', async () => {
  const probabilities = Float32Array.from({ length: 2 * (rows + 1) }, (_, i) => 1 / (i + 1)).subarray(2);
  const accepted = Uint8Array.from({ length: rows + 1 }, (_, i) => (i % 5 === 0 ? 0 : 1)).subarray(1);
  const recordIndexes = Float64Array.from({ length: rows + 1 }, (_, i) => 2 ** 40 + i).subarray(1);
  const stored = await engine.use(async (connection) => {
    await connection.run(`CREATE TEMP TABLE scores (${scoreColumns})`);
    const appender = await connection.createAppender('scores');
    appendScores(appender, { probabilities, accepted, recordIndexes });
    appender.closeSync();
    return (await connection.runAndReadAll('SELECT * FROM scores')).getRowsJS();
  });
  expect(stored).toEqual(
    Array.from({ length: rows }, (_, i) => [
      probabilities[2 * i],
      probabilities[2 * i + 1],
      recordIndexes[i],
      accepted[i] === 1,
    ]),
  );
});

test('work has a connection of its own, which is closed whatever happens', async () => {
  const failure = engine.use(async (connection) => {
    await connection.run('CREATE TEMP TABLE mine AS SELECT 1');
    throw new Error('broken');
  });
  await expect(failure).rejects.toThrow('broken');
  await expect(engine.use((connection) => connection.run('FROM mine'))).rejects.toThrow('does not exist');
});

test.each(['plain', `a "b" 'c'; -- $1`, `''`, `""`, 'ä\n𝄞', '\\'])(
  '%j is a name and a text of SQL, whatever it has in it',
  async (text) => {
    const found = await engine.use(async (connection) =>
      (await connection.runAndReadAll(`SELECT ${literal(text)} AS ${identifier(text)}`)).getRowObjectsJS(),
    );
    expect(found).toEqual([{ [text]: text }]);
  },
);
