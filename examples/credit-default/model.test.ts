import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { parse } from 'yaml';
import { drawApplicant, FEATURES, seededRandom, VALUES_PER_APPLICANT } from './population.ts';

const modelPath = join(import.meta.dirname, 'model.onnx');
const rows = 5000;
const outcomes: number[] = [];
let session: InferenceSession;
let result: InferenceSession.OnnxValueMapType;

beforeAll(async () => {
  session = await InferenceSession.create(modelPath);
  // Not the seed of the training rows.
  const random = seededRandom(7);
  const applicant = new Int32Array(VALUES_PER_APPLICANT);
  const input = new Float32Array(rows * FEATURES.length);
  for (let row = 0; row < rows; row++) {
    drawApplicant(random, applicant);
    input.set(applicant.subarray(0, FEATURES.length), row * FEATURES.length);
    outcomes.push(applicant[FEATURES.length]!);
  }
  result = await session.run({ input: new Tensor('float32', input, [rows, FEATURES.length]) });
});

test('the manifest names the digest of this very file', () => {
  const manifest = parse(readFileSync(join(import.meta.dirname, 'riskmodel.yaml'), 'utf8')) as {
    spec: { artifact: { sha256: string } };
  };
  expect(createHash('sha256').update(readFileSync(modelPath)).digest('hex')).toBe(manifest.spec.artifact.sha256);
});

test('one float input, and labels and probabilities as plain tensors', () => {
  expect(session.inputNames).toEqual(['input']);
  expect(result).toMatchObject({
    label: { type: 'int64', dims: [rows] },
    probabilities: { type: 'float32', dims: [rows, 2] },
  });
});

test('the two probabilities add up to 1', () => {
  const probabilities = result['probabilities']!.data as Float32Array;
  for (let row = 0; row < rows; row++) {
    expect(probabilities[2 * row]! + probabilities[2 * row + 1]!).toBeCloseTo(1, 6);
  }
});

test('of those above the threshold at least twice as many default as of all', () => {
  const probabilities = result['probabilities']!.data as Float32Array;
  const refused = outcomes.filter((_, row) => probabilities[2 * row + 1]! > 0.25);
  expect(mean(refused)).toBeGreaterThan(2 * mean(outcomes));
});

function mean(numbers: number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
