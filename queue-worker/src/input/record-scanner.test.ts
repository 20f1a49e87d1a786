import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ArrayScanner, LineScanner, longestRecord, type OnRecord, type RecordScanner } from './record-scanner.ts';

/** The records that a scanner finds when the text arrives in pieces of the given size. */
function recordsOf(text: string, make: (onRecord: OnRecord) => RecordScanner, size = text.length || 1): string[] {
  const bytes = Buffer.from(text);
  const records: string[] = [];
  const scanner = make((start, end) => records.push(bytes.subarray(start, end).toString()));
  for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size));
  scanner.end();
  return records;
}

const csv = (onRecord: OnRecord): RecordScanner => new LineScanner(onRecord, { csv: true });
const lines = (onRecord: OnRecord): RecordScanner => new LineScanner(onRecord, { csv: false });
const array = (onRecord: OnRecord): RecordScanner => new ArrayScanner(onRecord);

describe('records of CSV', () => {
  test.each([
    ['lines', '1,a\n2,b\n', ['1,a\n', '2,b\n']],
    ['a last line without a line break', '1,a\n2,b', ['1,a\n', '2,b']],
    ['Windows line breaks', '1,a\r\n2,b\r\n', ['1,a\r\n', '2,b\r\n']],
    ['empty lines, which are no records', '1\n\n\r\n2\n', ['1\n', '2\n']],
    ['a line break in quotes', '1,"a\nb"\n2,c\n', ['1,"a\nb"\n', '2,c\n']],
    ['doubled quotes', '1,"a""\n""b"\n2,c\n', ['1,"a""\n""b"\n', '2,c\n']],
    ['an empty quoted value', '""\n2\n', ['""\n', '2\n']],
  ])('%s', (_, text, expected) => {
    for (const size of [1, 2, 3, 100]) expect(recordsOf(text, csv, size)).toEqual(expected);
  });

  test('a quote that is never closed is named by record and byte', () => {
    expect(() => recordsOf('1,a\n2,"b\n3,c\n', csv)).toThrow('record 1 (at byte 4) opens a quote that is never closed');
  });
});

describe('records of NDJSON', () => {
  test.each([
    ['lines', '{"a":1}\n{"a":2}\n', ['{"a":1}\n', '{"a":2}\n']],
    ['white space between, which is no record', '{"a":1}\n  \n\t\r\n{"a":2}', ['{"a":1}\n', '{"a":2}']],
    ['quotes do not matter: JSON has no line break in strings', '{"a":"\n{"a":2}', ['{"a":"\n', '{"a":2}']],
  ])('%s', (_, text, expected) => {
    for (const size of [1, 2, 3, 100]) expect(recordsOf(text, lines, size)).toEqual(expected);
  });
});

describe('records of a JSON array', () => {
  test.each([
    ['elements', '[{"a":1},{"a":2}]', ['{"a":1}', '{"a":2}']],
    ['white space', ' [ {"a":1} ,\n{"a":2}\n]\n', ['{"a":1}', '{"a":2}']],
    ['nesting', '[{"a":[{"b":{}}]},{}]', ['{"a":[{"b":{}}]}', '{}']],
    ['brackets and escapes in strings', String.raw`[{"a":"]}\"{\\"},{}]`, [String.raw`{"a":"]}\"{\\"}`, '{}']],
    ['nothing', '[]', []],
  ])('%s', (_, text, expected) => {
    for (const size of [1, 2, 3, 100]) expect(recordsOf(text, array, size)).toEqual(expected);
  });

  test.each([
    [
      'cut off within a record',
      '[{"a":1},{"a":',
      'the array is not closed: the file ends at byte 14, in the middle of record 1',
    ],
    ['cut off between records', '[{"a":1},', 'the array is not closed: the file ends at byte 9, after record 0'],
    ['something after the end', '[{}] x', 'there is more at byte 5, after the end of the array'],
    ['an element that is no object', '[{}, 5]', 'record 1 at byte 5 is not an object'],
    ['a missing comma', '[{} {}]', 'no "," or "]" at byte 4, after record 0'],
    ['nothing at all', '', 'there is no JSON array'],
  ])('%s is named with its position', (_, text, message) => {
    expect(() => recordsOf(text, array)).toThrow(`not valid JSON: ${message}`);
  });

  test('any array is cut into what JSON.parse finds in it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue())),
        fc.integer({ min: 1, max: 9 }),
        (records, size) => {
          const text = JSON.stringify(records);
          expect(recordsOf(text, array, size).map((record) => JSON.parse(record) as unknown)).toEqual(JSON.parse(text));
        },
      ),
    );
  });
});

test.each([
  ['CSV', csv, `${'1,'.repeat(longestRecord)}\n`],
  ['NDJSON', lines, `{"a":"${'x'.repeat(longestRecord)}"}\n`],
  ['a JSON array', array, `[{"a":"${'x'.repeat(longestRecord)}"}]`],
])('a record of %s that is too long is refused', (_, make, text) => {
  expect(() => recordsOf(text, make, 1 << 16)).toThrow(/^record 0 \(at byte [01]\) is longer than 1048576 bytes/);
});
