import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import ort from 'onnxruntime-node';
import { removeZipMap } from './onnx-graph.ts';

const root = join(import.meta.dirname, '..', '..', '..');

function fixture(name: string): Uint8Array {
  return readFileSync(join(root, 'test', 'fixtures', `${name}.onnx`));
}

describe('a model without a ZipMap', () => {
  test.each([
    ['plain classifier', fixture('plain')],
    ['regressor', fixture('regressor')],
    ['model of other inputs', fixture('wrong-input')],
    ['example', readFileSync(join(root, 'examples', 'credit-default', 'model.onnx'))],
    ['message of no fields', new Uint8Array()],
    ['message without a graph', Uint8Array.of(0x08, 0x08)],
  ])('%s: the very same bytes', (_, bytes) => {
    const before = Buffer.from(bytes);
    expect(removeZipMap(bytes)).toBe(bytes);
    expect(before.equals(bytes)).toBe(true);
  });
});

describe('a model with a ZipMap', () => {
  test.each([
    ['zipmap', 'int64'],
    ['zipmap-string-labels', 'string'],
  ])('%s: the outputs keep their names, and the probabilities are a float tensor', async (name, labels) => {
    const bytes = fixture(name);
    const before = Buffer.from(bytes);
    const session = await ort.InferenceSession.create(removeZipMap(bytes));
    expect(session.outputMetadata).toMatchObject([
      { name: 'output_label', isTensor: true, type: labels },
      { name: 'output_probability', isTensor: true, type: 'float32' },
    ]);
    const result = await session.run({ input: new ort.Tensor('float32', new Float32Array(12), [3, 4]) });
    expect(result['output_probability']?.dims).toEqual([3, 2]);
    expect(result['output_label']?.dims).toEqual([3]);
    // The bytes that were given are the artifact, whose digest was checked: they are not for changing.
    expect(before.equals(bytes)).toBe(true);
  });

  test('has none left, so that removing it again changes nothing', () => {
    const once = removeZipMap(fixture('zipmap'));
    expect(removeZipMap(once)).toBe(once);
  });
});

test.each([
  ['cut off', fixture('zipmap').subarray(0, 700)],
  ['not a message', Buffer.from('<!DOCTYPE html>')],
])('what is %s is an error, not a model', (_, bytes) => {
  expect(() => removeZipMap(bytes)).toThrow(/index out of range|invalid wire type/);
});
