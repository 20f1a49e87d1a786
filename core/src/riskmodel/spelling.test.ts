import { expect, test } from '@jest/globals';
import { nearest } from './spelling.ts';

const fields = ['features', 'identifier', 'min', 'minimum', 'maximum'];

test.each([
  ['featurs', 'features'],
  ['feautres', 'features'],
  ['Features', 'features'],
  ['indentifier', 'identifier'],
  ['mni', 'min'],
  ['mininum', 'minimum'],
  ['colour', undefined],
  ['', undefined],
])('%s is meant to be %s', (word, meant) => {
  expect(nearest(word, fields)).toBe(meant);
});
