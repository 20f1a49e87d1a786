import { expect, test } from '@jest/globals';
import { inputError } from './input-error.ts';

test.each([
  ['InvalidJson', true],
  ['MisspelledColumn', true],
  ['RecordsTooLarge', true],
  // The format of the model, not of the input.
  ['MalformedModel', false],
  ['ArtifactNotFound', false],
  ['InternalError', false],
])('%s lies in the input: %s', (code, expected) => {
  expect(inputError(code)).toBe(expected);
});
