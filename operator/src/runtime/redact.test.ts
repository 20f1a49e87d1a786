import { expect, test } from '@jest/globals';
import { redact } from './redact.ts';

test.each([
  ['a connection string', 'no route to redis://user:hunter2@redis:6379/0', 'no route to redis://***@redis:6379/0'],
  ['a token', 'Authorization: Bearer eyJhbGciOi.abc-def_123', 'Authorization: Bearer ***'],
  ['a password', 'login with password=hunter2 failed', 'login with password=*** failed'],
  ['a value in JSON', '{"apiKey": "hunter2", "a": 1}', '{"apiKey": "***", "a": 1}'],
  ['a signed URL', 'GET https://b/o?X-Goog-Signature=abcdef&x=1', 'GET https://b/o?X-Goog-Signature=***&x=1'],
  ['a private key', 'key -----BEGIN RSA PRIVATE KEY-----\nAAA\n-----END RSA PRIVATE KEY----- end', 'key *** end'],
])('%s is left out', (_, text, expected) => {
  expect(redact(text)).toBe(expected);
});

test.each([
  'revision credit-default-5d8f is ready',
  'gs://bucket/model.onnx does not exist',
  'Secret redis-credentials not found',
  'the token of the service account is missing',
])('%s is told whole', (text) => {
  expect(redact(text)).toBe(text);
});
