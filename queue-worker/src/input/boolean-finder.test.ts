import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { BooleanFinder } from './boolean-finder.ts';

/** Whether it was found in a text that comes in pieces of so many bytes. */
async function find(json: string, pieceBytes: number): Promise<boolean> {
  const bytes = Buffer.from(json);
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) =>
    bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes),
  );
  const finder = new BooleanFinder();
  expect(await text(finder.watch(Readable.from(pieces)))).toBe(json);
  return finder.found;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 100])('booleans are found in pieces of %i bytes', async (pieceBytes) => {
  for (const word of ['true', 'false']) {
    for (let before = 0; before < 12; before++) {
      const json = `${' '.repeat(before)}{"Ü":${word}}`;
      expect([json, await find(json, pieceBytes)]).toEqual([json, true]);
    }
  }
});

test.each([1, 3, 100])('what only looks like them is not, in pieces of %i bytes', async (pieceBytes) => {
  for (const json of ['', '1', '{"a":"tru e","b":"fals","c":null,"d":"alse"}', '{"a":"TRUE","b":"False"}']) {
    expect(await find(json, pieceBytes)).toBe(false);
  }
});
