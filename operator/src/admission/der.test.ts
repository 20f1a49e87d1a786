import { describe, expect, test } from '@jest/globals';
import { bitString, boolean, contextTag, element, integer, objectIdentifier, octetString, time } from './der.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');

describe('DER', () => {
  test.each([
    ['zero', integer(0), '020100'],
    ['a small number', integer(5), '020105'],
    ['a number whose first bit is set', integer(Buffer.from([0x80])), '02020080'],
    ['a number of two bytes', integer(0x1234), '02021234'],
    ['a number with zeros before it', integer(Buffer.from([0, 0, 7])), '020107'],
    ['true', boolean(true), '0101ff'],
    ['an identifier', objectIdentifier('1.2.840.10045.4.3.2'), '06082a8648ce3d040302'],
    ['bits, some of no meaning', bitString(Buffer.from([0x80]), 7), '03020780'],
    ['bytes', octetString(Buffer.from([1, 2])), '04020102'],
    ['a tag of its own', contextTag(2, Buffer.from('a')), '820161'],
    ['a tag with elements in it', contextTag(3, integer(1), true), 'a303020101'],
    ['a moment before 2050', time(new Date('2049-12-31T23:59:59.999Z')), `170d${hex(Buffer.from('491231235959Z'))}`],
    ['a moment after 2049', time(new Date('2050-01-01T00:00:00Z')), `180f${hex(Buffer.from('20500101000000Z'))}`],
  ])('%s', (_name, encoded, expected) => {
    expect(hex(encoded)).toBe(expected);
  });

  test.each([
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [70_000, '0483011170'],
  ])('%i bytes', (length, head) => {
    const encoded = element(0x04, Buffer.alloc(length));
    expect(hex(encoded.subarray(0, head.length / 2))).toBe(head);
    expect(encoded).toHaveLength(head.length / 2 + length);
  });
});
