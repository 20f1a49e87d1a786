import { randomBytes } from 'node:crypto';
import { CRC32C } from '@google-cloud/storage';
import { expect, test } from '@jest/globals';
import { Crc32c } from './crc32c.ts';

function checksumOf(...pieces: Uint8Array[]): string {
  const checksum = new Crc32c();
  for (const piece of pieces) checksum.update(piece);
  return checksum.toString();
}

// The values of RFC 3720, B.4, and the usual check value.
test.each([
  ['32 zeros', Buffer.alloc(32), '8a9136aa'],
  ['32 ones', Buffer.alloc(32, 0xff), '62a8ab43'],
  ['rising bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), '46dd794e'],
  ['123456789', Buffer.from('123456789'), 'e3069283'],
  ['nothing', Buffer.alloc(0), '00000000'],
])('of %s', (_, bytes, hex) => {
  expect(Buffer.from(checksumOf(bytes), 'base64').toString('hex')).toBe(hex);
});

test('is that of the client, of any length and in any pieces', () => {
  for (let length = 0; length < 70; length++) {
    const bytes = randomBytes(length);
    const expected = new CRC32C();
    expected.update(bytes);
    expect(checksumOf(bytes)).toBe(expected.toString());
    const cut = Math.floor(length / 3);
    expect(checksumOf(bytes.subarray(0, cut), bytes.subarray(cut))).toBe(expected.toString());
  }
});
