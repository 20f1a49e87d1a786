const space = /[ \t\n\r]*/y;
const word = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const escape = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;

/**
 * Where a text stops being JSON: the offset of the first value, comma or bracket that is wrong. `JSON.parse` tells it
 * only sometimes, and quotes what is there, which here belongs to an applicant.
 */
export function findSyntaxError(text: string): number {
  const cursor = new Cursor(text);
  const open: ('[' | '{')[] = [];
  cursor.skip(space);
  for (;;) {
    // A value is due.
    if (cursor.eat('[')) {
      cursor.skip(space);
      if (!cursor.eat(']')) {
        open.push('[');
        continue;
      }
    } else if (cursor.eat('{')) {
      cursor.skip(space);
      if (!cursor.eat('}')) {
        open.push('{');
        if (!cursor.skipKey()) return cursor.at;
        continue;
      }
    } else if (!cursor.skipString() && !cursor.skip(word)) {
      return cursor.at;
    }
    // A value has ended, and perhaps what it was in.
    for (;;) {
      cursor.skip(space);
      const container = open.at(-1);
      if (container === undefined) return cursor.at;
      if (!cursor.eat(container === '[' ? ']' : '}')) break;
      open.pop();
    }
    if (!cursor.eat(',')) return cursor.at;
    cursor.skip(space);
    if (open.at(-1) === '{' && !cursor.skipKey()) return cursor.at;
  }
}

/** A place in a text; each method moves it over what it names, if that stands there. */
class Cursor {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  eat(character: string): boolean {
    if (this.#text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    if (!pattern.test(this.#text)) return false;
    this.at = pattern.lastIndex;
    return true;
  }

  skipString(): boolean {
    if (!this.eat('"')) return false;
    for (;;) {
      const character = this.#text[this.at];
      if (character === '"') break;
      if (character === '\\') {
        if (!this.skip(escape)) return false;
      } else if (character === undefined || character < ' ') {
        return false;
      } else {
        this.at++;
      }
    }
    this.at++;
    return true;
  }

  /** A member's key, its colon and the space after it. */
  skipKey(): boolean {
    if (!this.skipString()) return false;
    this.skip(space);
    if (!this.eat(':')) return false;
    this.skip(space);
    return true;
  }
}

/** Nothing we take nests deeper than an inference request's data. */
const deepest = 64;
/** A text this short can't do harm, however deep. */
const harmless = 65_536;

/**
 * Whether arrays and objects nest too deep in a body that is large enough for that to cost seconds and gigabytes.
 * @param body JSON in UTF-8, not yet parsed
 */
export function nestsTooDeep(body: Uint8Array): boolean {
  if (body.length < harmless) return false;
  let depth = 0;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i];
    if (byte === 0x22) {
      for (i++; i < body.length && body[i] !== 0x22; i++) if (body[i] === 0x5c) i++;
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > deepest) return true;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  return false;
}
