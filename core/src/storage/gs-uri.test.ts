import { expect, test } from '@jest/globals';
import { findUriProblem } from './gs-uri.ts';

test.each([
  'gs://risk-input/today.json',
  'gs://risk.example.com/a/b c.parquet',
  'gs://b_1/..a/.b./c',
  `gs://${'a'.repeat(63)}/x`,
  // Of other schemes only the schema speaks.
  'file:///srv/../model.onnx',
  'models/../model.onnx',
])('%s can be an object', (uri) => {
  expect(findUriProblem(uri)).toBeUndefined();
});

test.each([
  ['gs://bucket', `not an object's URI: "gs://bucket"; expected gs://BUCKET/PATH`],
  ['gs://a..b/x', 'must have a "." in its bucket\'s name only between letters or digits: "a..b"'],
  ['gs://a-.b/x', 'must have a "." in its bucket\'s name only between letters or digits: "a-.b"'],
  ['gs://192.168.5.4/x', 'must not have an IP address for a bucket\'s name: "192.168.5.4"'],
  [
    `gs://${'a'.repeat(64)}/x`,
    `must have a bucket's name with at most 63 characters between its dots: "${'a'.repeat(64)}"`,
  ],
  ['gs://goog-models/x', 'must not have a bucket\'s name that begins with "goog": "goog-models"'],
  ['gs://bucket/../x', 'must not have "." or ".." as a part of its path: it would lead out of the bucket'],
  ['gs://bucket/a/.', 'must not have "." or ".." as a part of its path: it would lead out of the bucket'],
  ['gs://bucket/a\tb', 'must not have control characters in its path'],
  [`gs://bucket/${'ä'.repeat(513)}`, 'must have a path of at most 1024 bytes, not 1026'],
])('%j can not', (uri, problem) => {
  expect(findUriProblem(uri)).toBe(problem);
});
