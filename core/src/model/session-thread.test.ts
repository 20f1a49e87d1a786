import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RiskModelError } from '../errors.ts';
import { SessionThread } from './session-thread.ts';
import { openSession } from './session.ts';

const fixtures = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures');
const width = 4;
let thread: SessionThread;

beforeEach(() => {
  thread = new SessionThread();
});

afterEach(() => thread.close());

function fixture(name: string): Uint8Array {
  return readFileSync(join(fixtures, `${name}.onnx`));
}

/** Over shared memory, as batches have them. */
function sharedMatrix(rows: number): Float32Array {
  const matrix = new Float32Array(new SharedArrayBuffer(4 * rows * width));
  for (let i = 0; i < matrix.length; i++) matrix[i] = ((i * 7_919) % 600) / 100 - 3;
  return matrix;
}

test('a session of a thread answers the same bits as one of the process, wherever the matrix is', async () => {
  const rows = 3_000;
  const matrix = sharedMatrix(rows);
  const [here, there] = await Promise.all([openSession, thread.open].map((open) => open(fixture('plain'), width)));
  expect(there).toMatchObject({ inputName: here?.inputName, outputName: here?.outputName });
  const expected = await here?.run(matrix, rows);
  expect(expected).toHaveLength(2 * rows);
  expect(await there?.run(matrix, rows)).toEqual(expected);
  expect(await there?.run(Float32Array.from(matrix), rows)).toEqual(expected);
  const part = matrix.subarray(width * 10, width * 12);
  expect(await there?.run(part, 2)).toEqual(expected?.slice(20, 24));
});

test('sessions do not get in each other’s way, and one that was given back is gone', async () => {
  const [plain, zipMap] = await Promise.all([
    thread.open(fixture('plain'), width),
    thread.open(fixture('zipmap'), width),
  ]);
  expect([plain.outputName, zipMap.outputName]).toEqual(['probabilities', 'output_probability']);
  const matrix = sharedMatrix(1);
  const runs = await Promise.all([plain, zipMap, plain, zipMap].map((session) => session.run(matrix, 1)));
  expect(runs).toEqual([runs[0], runs[0], runs[0], runs[0]]);
  await plain.release();
  await expect(plain.run(matrix, 1)).rejects.toThrow('released');
  expect(await zipMap.run(matrix, 1)).toEqual(runs[0]);
});

test('what is wrong with a model is said as without a thread', async () => {
  for (const [bytes, features] of [
    [Buffer.from('no model'), width],
    [fixture('plain'), width + 1],
  ] as const) {
    const expected = await openSession(bytes, features).catch((error: unknown) => error);
    const failure = await thread.open(bytes, features).catch((error: unknown) => error);
    expect(expected).toBeInstanceOf(RiskModelError);
    expect(failure).toBeInstanceOf(RiskModelError);
    expect(failure).toEqual(expected);
    expect(failure).toMatchObject({ code: (expected as RiskModelError).code });
  }
});

test('what a thread that is ended was asked for is answered by an error', async () => {
  const session = await thread.open(fixture('plain'), width);
  const opening = thread.open(fixture('plain'), width).catch((error: unknown) => error);
  await thread.close();
  expect(await opening).toMatchObject({ message: 'the thread that scores was ended' });
  await expect(session.run(sharedMatrix(1), 1)).rejects.toThrow('ended');
});
