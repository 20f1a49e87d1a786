/** Ranges of an object whose content is 0123456789, and what a read of each gives, whatever the store. */
export const readRanges: [range: { start?: number; end?: number } | undefined, expected: string][] = [
  [undefined, '0123456789'],
  [{}, '0123456789'],
  [{ start: 0, end: 10 }, '0123456789'],
  [{ start: 3 }, '3456789'],
  [{ end: 3 }, '012'],
  [{ start: 3, end: 4 }, '3'],
  [{ start: 9, end: 10 }, '9'],
  [{ start: 0, end: 0 }, ''],
  [{ start: 5, end: 5 }, ''],
  [{ start: 10 }, ''],
  [{ start: 8, end: 100 }, '89'],
  [{ start: 11, end: 100 }, ''],
];
