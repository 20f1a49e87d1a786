import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { RiskModelError } from '../errors.ts';
import { openSession, type Session } from './session.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const width = 4;
const open: Session[] = [];

afterEach(async () => {
  for (const session of open.splice(0)) await session.release();
});

function fixture(name: string): Uint8Array {
  return readFileSync(join(root, 'test', 'fixtures', `${name}.onnx`));
}

async function load(bytes: Uint8Array, features = width): Promise<Session> {
  const session = await openSession(bytes, features);
  open.push(session);
  return session;
}

/** Numbers that look random and are the same every time. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

function matrixOf(rows: number, columns: number, scale: (column: number, number: number) => number): Float32Array {
  const random = numbers(42);
  return Float32Array.from({ length: rows * columns }, (_, i) => scale(i % columns, random.next().value));
}

function bits(floats: Float32Array): Uint32Array {
  return new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
}

describe('a classifier', () => {
  test('is scored under the names of its graph', async () => {
    const session = await load(fixture('plain'));
    expect(session).toMatchObject({ inputName: 'input', outputName: 'probabilities' });
    const probabilities = await session.run(Float32Array.of(1, 2, 3, 4, -1, -2, -3, -4), 2);
    expect(probabilities).toHaveLength(4);
    const [low0, low1, high0, high1] = probabilities as unknown as [number, number, number, number];
    expect([low0 + low1, high0 + high1]).toEqual([expect.closeTo(1, 6), expect.closeTo(1, 6)]);
    // Its training data grow with the first two features.
    expect(low1).toBeGreaterThan(high1);
  });

  test('with ZipMap answers what the same one without it does, under the name of its own output', async () => {
    const rows = 500;
    const matrix = matrixOf(rows, width, (_, number) => 6 * number - 3);
    const zipMap = await load(fixture('zipmap'));
    const plain = await load(fixture('plain'));
    expect(zipMap).toMatchObject({ inputName: 'input', outputName: 'output_probability' });
    const expected = bits(await plain.run(matrix, rows));
    expect(bits(await zipMap.run(matrix, rows))).toEqual(expected);
    expect(new Set(expected).size).toBeGreaterThanOrEqual(10);
  });

  test('that is a view into a larger buffer is read from where it begins', async () => {
    const bytes = fixture('plain');
    const larger = new Uint8Array(bytes.length + 20).fill(0xff);
    larger.set(bytes, 10);
    const session = await load(larger.subarray(10, 10 + bytes.length));
    expect(session.outputName).toBe('probabilities');
  });
});

test('the bits of a row do not depend on how many rows are in the run', async () => {
  const features = 23;
  const rows = 1000;
  const model = readFileSync(join(root, 'examples', 'credit-default', 'model.onnx'));
  // Values of about the size that the example's features have, so that the trees' branches are all taken.
  const matrix = matrixOf(rows, features, (column, number) => {
    if (column === 0) return Math.round(number * 500_000);
    if (column < 5) return Math.round(number * (column === 4 ? 80 : 3));
    return Math.round(column < 11 ? number * 11 - 2 : number * 100_000);
  });
  const session = await load(model, features);
  const whole = bits(await session.run(matrix, rows));
  expect(new Set(whole).size).toBeGreaterThan(rows);
  for (const size of [1, 2, 64]) {
    const parts = new Float32Array(2 * rows);
    for (let row = 0; row < rows; row += size) {
      const count = Math.min(size, rows - row);
      parts.set(await session.run(matrix.subarray(row * features, (row + count) * features), count), 2 * row);
    }
    expect({ size, bits: bits(parts) }).toEqual({ size, bits: whole });
  }
});

describe('what can not be served is refused when it is loaded', () => {
  const plain = fixture('plain');
  test.each<[why: string, bytes: Uint8Array, features: number, code: string, message: string | RegExp]>([
    [
      'texts for classes, in an order of their own',
      fixture('zipmap-string-labels'),
      width,
      'UnsupportedModel',
      "the model's classes are texts, so it can't be told which of them is class 1: train it with the outcomes 0 and 1",
    ],
    [
      'two inputs',
      fixture('wrong-input'),
      width,
      'UnsupportedModel',
      "the model's input must be one float tensor [N, features]; this one takes left: float32 [N, 4]; right: float32 [N, 4]",
    ],
    [
      'no probabilities but one number',
      fixture('regressor'),
      width,
      'UnsupportedModel',
      /must put out the probabilities of two classes, .* this one gives variable: float32 \[/,
    ],
    [
      'a manifest with a feature too many',
      plain,
      5,
      'FeatureCountMismatch',
      "the model takes 4 features, but spec.features lists 5: list the model's columns, in its order",
    ],
    [
      'a manifest that lacks a feature',
      plain,
      3,
      'FeatureCountMismatch',
      "the model takes 4 features, but spec.features lists 3: list the model's columns, in its order",
    ],
    ['an empty file', new Uint8Array(), width, 'UnsupportedModel', /^the artifact can't be loaded as an ONNX model: ./],
    ['a web page', Buffer.from('<!DOCTYPE html><html></html>'), width, 'UnsupportedModel', /^the artifact can't be/],
    ['noise', noise(), width, 'UnsupportedModel', /^the artifact can't be loaded as an ONNX model: ./],
    ['half a model', plain.subarray(0, plain.length / 2), width, 'UnsupportedModel', /^the artifact can't be loaded/],
    ['all but the last byte', plain.subarray(0, -1), width, 'UnsupportedModel', /^the artifact can't be loaded as/],
  ])('%s', async (_, bytes, features, code, message) => {
    const failure = await openSession(bytes, features).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RiskModelError);
    expect(failure).toMatchObject({
      code,
      retry: 'never',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
  });
});

function noise(): Uint8Array {
  const random = numbers(7);
  return Uint8Array.from({ length: 5_000 }, () => random.next().value * 256);
}
