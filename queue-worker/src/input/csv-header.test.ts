import { describe, expect, test } from '@jest/globals';
import { readHeader } from './csv-header.ts';
import { longestRecord } from './record-scanner.ts';

describe('the header', () => {
  test.each<[why: string, text: string, delimiter: string, columns: string[]]>([
    ['commas', 'a,b,c\n1,2,3\n', ',', ['a', 'b', 'c']],
    ['semicolons', 'a;b;c\n1,5;2;3\n', ';', ['a', 'b', 'c']],
    ['tabs', 'a\tb\tc\n1\t2\t3\n', '\t', ['a', 'b', 'c']],
    ['bars', 'a|b|c\n', '|', ['a', 'b', 'c']],
    ['the one there is most of', 'a,b;c;d\n', ';', ['a,b', 'c', 'd']],
    ['commas where there is as much of others', 'a,b;c\n', ',', ['a', 'b;c']],
    ['delimiters in quotes do not count', '"a;b;c",d\n', ',', ['a;b;c', 'd']],
    ['one column', 'a\n1\n', ',', ['a']],
    ['no record', 'a,b', ',', ['a', 'b']],
    ['Windows line breaks', 'a,b\r\n1,2\r\n', ',', ['a', 'b']],
    ['a byte-order mark, which is no part of a name', '\uFEFFa,b\n', ',', ['a', 'b']],
    ['a byte-order mark before a quote', '\uFEFF"a",b\n', ',', ['a', 'b']],
    ['quoted names', '"a","b c"\n', ',', ['a', 'b c']],
    ['doubled quotes', '"a ""b""",c\n', ',', ['a "b"', 'c']],
    ['a line break in a name', '"a\nb",c\n1,2\n', ',', ['a\nb', 'c']],
    ['white space around names', ' a , b\t\n', ',', ['a', 'b']],
    ['empty lines before it', '\n\r\na,b\n', ',', ['a', 'b']],
    ['names of any script', 'größe,年齢\n', ',', ['größe', '年齢']],
  ])('%s', (_, text, delimiter, columns) => {
    const header = readHeader(Buffer.from(text));
    expect(header).toMatchObject({ columns, dialect: { delimiter } });
  });

  test.each<[text: string, rest: string]>([
    ['a,b\n1,2\n', '1,2\n'],
    ['a,b\r\n1,2\r\n', '1,2\r\n'],
    ['\uFEFFgröße,b\n1,2\n', '1,2\n'],
    ['"a\nb",c\n1,2\n', '1,2\n'],
    ['a,b', ''],
  ])('%j ends before %j', (text, rest) => {
    const bytes = Buffer.from(text);
    expect(bytes.subarray(readHeader(bytes).end).toString()).toBe(rest);
  });

  test('may be as long as a record', () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `column_${i}_${'x'.repeat(80)}`);
    const text = `${names.join(',')}\n1,2\n`;
    expect(text.length).toBeLessThan(longestRecord);
    expect(readHeader(Buffer.from(text)).columns).toEqual(names);
  });

  test('does not mind that what comes after it breaks off', () => {
    expect(readHeader(Buffer.from('a,b\n1,"2')).columns).toEqual(['a', 'b']);
  });

  test.each<[why: string, text: string, code: string, message: string]>([
    ['nothing', '', 'InvalidCsv', 'the first line of a CSV file must name its columns: there is no line'],
    ['empty lines only', '\n\r\n\n', 'InvalidCsv', 'there is no line that names the columns'],
    ['a byte-order mark only', '\uFEFF', 'InvalidCsv', 'there is no line that names the columns'],
    ['a column without a name', 'a,,c\n', 'InvalidCsv', 'column 2 has no name'],
    ['a name of white space', 'a,b, \n', 'InvalidCsv', 'column 3 has no name'],
    ['a delimiter at the end', 'a,b,\n', 'InvalidCsv', 'column 3 has no name'],
    ['a quote that is not closed', '"a,b\n1,2\n', 'InvalidCsv', 'record 0 (at byte 0) opens a quote that is never'],
    ['a quote within a name that is not quoted', 'a"b,c\n1,2\n', 'InvalidCsv', 'opens a quote that is never closed'],
    ['a line that does not end', 'a,'.repeat(longestRecord), 'RecordTooLong', 'record 0 (at byte 0) is longer than'],
  ])('is refused: %s', (_, text, code, message) => {
    const head = Buffer.from(text).subarray(0, longestRecord + 1);
    expect(() => readHeader(head)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});
