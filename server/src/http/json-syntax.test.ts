import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { findSyntaxError, nestsTooDeep } from './json-syntax.ts';

describe('findSyntaxError', () => {
  test.each([
    ['{"a":x}', 5],
    ['{"a":1,}', 7],
    ['[1 2]', 3],
    ['{"a" 1}', 5],
    ['{a:1}', 1],
    ['[1,', 3],
    ['', 0],
    ['nul', 0],
    ['01', 1],
    ['"\u0001"', 1],
    ['"\\x"', 1],
    ['{"a":[{"b":1}]]', 14],
    ['1e', 1],
    ['NaN', 0],
  ])('%j goes wrong at %d', (text, offset) => {
    expect(findSyntaxError(text)).toBe(offset);
  });

  test('finds nothing wrong with what JSON.parse takes, and ends on everything else', () => {
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', ']', '"', 'x', '\\'))
      .map(([json, at, put]) => {
        const cut = at % (json.length + 1);
        return json.slice(0, cut) + put + json.slice(cut + 1);
      });
    fc.assert(
      fc.property(fc.oneof(fc.json(), damaged), (text) => {
        const offset = findSyntaxError(text);
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        expect(offset).toBeLessThanOrEqual(text.length);
        if (valid) expect(offset).toBe(text.length);
      }),
    );
  });

  test('a string of megabytes does not overflow the stack', () => {
    const text = `{"a":"${'x'.repeat(4 << 20)}",}`;
    expect(findSyntaxError(text)).toBe(text.length - 1);
  });
});

/** Large enough to be looked at. */
function large(text: string): Buffer {
  return Buffer.from(text.padEnd(70_000, ' '));
}

describe('nestsTooDeep', () => {
  test('tells a bomb from data', () => {
    expect(nestsTooDeep(large('['.repeat(65)))).toBe(true);
    expect(nestsTooDeep(large('{"a":'.repeat(65)))).toBe(true);
    expect(nestsTooDeep(large(JSON.stringify({ inputs: [{ data: [[1, 2]] }] })))).toBe(false);
  });

  test('brackets in strings do not count, escaped quotes do not end them', () => {
    expect(nestsTooDeep(large(JSON.stringify([`"${'['.repeat(100)}`])))).toBe(false);
  });
});
