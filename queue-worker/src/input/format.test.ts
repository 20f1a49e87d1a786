import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { detectFormat, isGzip, type InputFormat } from './format.ts';

describe('the format', () => {
  test.each<[name: string, head: string, format: InputFormat, why: string]>([
    ['gs://b/a.json', '[{"x": 1}]', 'json', 'an array by its name and first character'],
    ['gs://b/a.json', ' \n\t[{"x": 1}]', 'json', 'white space before the array'],
    ['gs://b/a.json', '\uFEFF[{"x": 1}]', 'json', 'a byte-order mark before the array'],
    ['gs://b/a.json', '{"x": 1}\n{"x": 2}', 'ndjson', 'lines, as BigQuery and Spark write them under this name'],
    ['gs://b/a.ndjson', '[{"x": 1}]', 'json', 'an array, whatever its name says'],
    ['gs://b/a.jsonl', '{"x": 1}', 'ndjson', 'another name of lines'],
    ['gs://b/a.csv', '{"a"},b', 'csv', 'a CSV file may begin with any character'],
    ['gs://b/a.csv', '[a],b', 'csv', 'a CSV file may begin with any character'],
    ['gs://b/a.tsv', 'a\tb', 'csv', 'tabs are a dialect of CSV'],
    ['gs://b/A.CSV.GZ', 'a,b', 'csv', 'endings in capitals, and that of gzip left off'],
    ['gs://b/a.json.gz', '{"x": 1}', 'ndjson', 'the ending of gzip left off'],
    ['gs://b/a.parquet', 'a,b', 'parquet', 'a name is believed, so that the error is about Parquet'],
    ['gs://b/a.pq', 'PAR1', 'parquet', 'another name of Parquet'],
    ['gs://b/a.csv', 'PAR1\u0015', 'parquet', 'Parquet says so in its first four bytes, whatever its name says'],
    ['gs://b/part-0000', 'PAR1\u0015', 'parquet', 'no ending'],
    ['gs://b/part-0000', '{"x": 1}', 'ndjson', 'no ending, but an object'],
    ['gs://b/part-0000', '[{"x": 1}]', 'json', 'no ending, but an array'],
    ['gs://b/part-0000', 'a,b\n1,2', 'csv', 'no ending and nothing that JSON begins with'],
    ['gs://b/a.txt', 'a;b', 'csv', 'an ending that says nothing'],
    ['gs://b.json/a', 'a,b', 'csv', "the bucket's name is not the object's"],
    ['gs://b/a.json', 'a,b', 'json', 'a name is believed, so that the error is about JSON'],
    ['gs://b/a.json', '', 'json', 'nothing to go by but the name'],
  ])('%s, %j: %s (%s)', (name, head, format, why) => {
    expect({ why, format: detectFormat(name, Buffer.from(head)) }).toEqual({ why, format });
  });

  test('does not mind a character that is cut in two where the first bytes end', () => {
    expect(detectFormat('gs://b/a', Buffer.from('[{"x": "ä').subarray(0, -1))).toBe('json');
  });
});

test.each<[why: string, head: Uint8Array, gzip: boolean]>([
  ['gzip', gzipSync('a,b'), true],
  ['gzip of nothing', gzipSync(''), true],
  ['text', Buffer.from('a,b'), false],
  ['one byte', Uint8Array.of(0x1f), false],
  ['nothing', new Uint8Array(), false],
])('%s is told by its first bytes', (_, head, gzip) => {
  expect(isGzip(head)).toBe(gzip);
});
