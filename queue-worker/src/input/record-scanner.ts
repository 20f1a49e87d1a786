import { RiskModelError } from '@riskmodel/core/errors.ts';

/** The longest record we take, in bytes: 2,000 features of 100 characters are a fifth of it. */
export const longestRecord = 1 << 20;

/**
 * Finds where records end in text that arrives in pieces. `onRecord` gets the offsets in the whole text of a record's
 * first byte and of the byte after its last.
 */
export interface RecordScanner {
  push(piece: Buffer): void;
  /** To be called after the last piece. Throws when the text ends in the middle of something. */
  end(): void;
}

export type OnRecord = (start: number, end: number) => void;

const newline = 0x0a;
const carriageReturn = 0x0d;
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;

function isWhitespace(byte: number): boolean {
  return byte === 0x20 || byte === newline || byte === carriageReturn || byte === 0x09;
}

function recordTooLong(record: number, start: number): RiskModelError {
  return new RiskModelError(
    'RecordTooLong',
    `record ${record} (at byte ${start}) is longer than ${longestRecord} bytes: is a line break or a closing quote missing?`,
  );
}

/** Lines of JSON, or of CSV without quotes around line breaks. Lines of nothing but white space are no records. */
export class LineScanner implements RecordScanner {
  readonly #onRecord: OnRecord;
  /** White space alone makes a record of CSV (one value), but not of JSON. */
  readonly #spaceIsRecord: boolean;
  #offset: number;
  #start: number;
  #records = 0;
  /** Whether the line under way has a byte that makes it a record. */
  #hasContent = false;
  readonly #quotes: boolean;
  #quoted = false;

  /** @param offset where in the whole text the first piece begins */
  constructor(onRecord: OnRecord, { csv, offset = 0 }: { csv: boolean; offset?: number }) {
    this.#onRecord = onRecord;
    this.#spaceIsRecord = csv;
    this.#quotes = csv;
    this.#offset = offset;
    this.#start = offset;
  }

  push(piece: Buffer): void {
    let at = 0;
    while (at < piece.length) {
      const end = this.#lineEnd(piece, at);
      if (!this.#hasContent) this.#hasContent = this.#isContent(piece, at, end === -1 ? piece.length : end);
      if (end === -1) break;
      at = end + 1;
      this.#finish(this.#offset + at);
    }
    this.#offset += piece.length;
    if (this.#offset - this.#start > longestRecord) throw recordTooLong(this.#records, this.#start);
  }

  end(): void {
    if (this.#quoted) {
      throw new RiskModelError(
        'InvalidCsv',
        `record ${this.#records} (at byte ${this.#start}) opens a quote that is never closed`,
      );
    }
    if (this.#hasContent) this.#finish(this.#offset);
  }

  #finish(end: number): void {
    if (this.#hasContent) {
      if (end - this.#start > longestRecord) throw recordTooLong(this.#records, this.#start);
      this.#onRecord(this.#start, end);
      this.#records++;
    }
    this.#start = end;
    this.#hasContent = false;
  }

  /** The next line break that is not within quotes, or -1. A doubled quote opens and closes at once. */
  #lineEnd(piece: Buffer, from: number): number {
    let at = from;
    for (;;) {
      const end = this.#quoted ? -1 : piece.indexOf(newline, at);
      if (!this.#quotes) return end;
      const nextQuote = this.#findQuote(piece, at, end === -1 ? piece.length : end);
      if (nextQuote === -1) return end;
      this.#quoted = !this.#quoted;
      at = nextQuote + 1;
    }
  }

  /** The piece in which no quote was found from `#quoteFreeFrom` on, so that it is not searched again for each line. */
  #quoteFree: Buffer | undefined;
  #nextQuote = -1;

  #findQuote(piece: Buffer, from: number, end: number): number {
    if (this.#quoteFree !== piece || (this.#nextQuote !== -1 && this.#nextQuote < from)) {
      this.#quoteFree = piece;
      this.#nextQuote = piece.indexOf(quote, from);
    }
    return this.#nextQuote !== -1 && this.#nextQuote < end ? this.#nextQuote : -1;
  }

  #isContent(piece: Buffer, from: number, end: number): boolean {
    for (let i = from; i < end; i++) {
      const byte = piece[i] as number;
      if (!(this.#spaceIsRecord ? byte === carriageReturn : isWhitespace(byte))) return true;
    }
    return false;
  }
}

/** The elements of one JSON array. What is between them (commas, white space) belongs to no record. */
export class ArrayScanner implements RecordScanner {
  readonly #onRecord: OnRecord;
  #offset = 0;
  #records = 0;
  #state: 'before' | 'first' | 'element' | 'between' | 'next' | 'after' = 'before';
  #start = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(onRecord: OnRecord, { offset = 0 }: { offset?: number } = {}) {
    this.#onRecord = onRecord;
    this.#offset = offset;
  }

  push(piece: Buffer): void {
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i] as number;
      if (this.#state === 'element') i = this.#inElement(piece, i);
      else if (!isWhitespace(byte)) this.#betweenElements(byte, this.#offset + i);
    }
    this.#offset += piece.length;
    if (this.#state === 'element' && this.#offset - this.#start > longestRecord)
      throw recordTooLong(this.#records, this.#start);
  }

  end(): void {
    if (this.#state === 'after') return;
    const where =
      this.#state === 'element' ? `in the middle of record ${this.#records}` : `after record ${this.#records - 1}`;
    throw invalidJson(
      this.#state === 'before'
        ? 'there is no JSON array'
        : `the array is not closed: the file ends at byte ${this.#offset}, ${where}`,
    );
  }

  /** Goes through an element from `i` on; returns the index of the last byte it took. */
  #inElement(piece: Buffer, from: number): number {
    for (let i = from; i < piece.length; i++) {
      const byte = piece[i] as number;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
      } else if (byte === quote) {
        this.#inString = true;
      } else if (byte === 0x7b || byte === 0x5b) {
        this.#depth++;
      } else if (byte === 0x7d || byte === 0x5d) {
        if (--this.#depth === 0) {
          const end = this.#offset + i + 1;
          if (end - this.#start > longestRecord) throw recordTooLong(this.#records, this.#start);
          this.#onRecord(this.#start, end);
          this.#records++;
          this.#state = 'between';
          return i;
        }
      }
    }
    return piece.length - 1;
  }

  #betweenElements(byte: number, at: number): void {
    const opens = this.#state === 'first' || this.#state === 'next';
    if (this.#state === 'before' && byte === 0x5b) this.#state = 'first';
    else if (opens && byte === 0x7b) {
      this.#state = 'element';
      this.#start = at;
      this.#depth = 1;
    } else if (this.#state === 'between' && byte === comma) this.#state = 'next';
    else if ((this.#state === 'between' || this.#state === 'first') && byte === 0x5d) this.#state = 'after';
    else throw invalidJson(this.#unexpected(at));
  }

  #unexpected(at: number): string {
    switch (this.#state) {
      case 'before':
        return `no "[" at byte ${at}, where the array should begin`;
      case 'after':
        return `there is more at byte ${at}, after the end of the array`;
      case 'between':
        return `no "," or "]" at byte ${at}, after record ${this.#records - 1}`;
      default:
        return `record ${this.#records} at byte ${at} is not an object`;
    }
  }
}

export function invalidJson(message: string): RiskModelError {
  return new RiskModelError('InvalidJson', `not valid JSON: ${message}`);
}
