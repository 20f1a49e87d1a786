import { createReadStream } from 'node:fs';

/** The Castagnoli polynomial (RFC 3720), with its bits reversed. */
const polynomial = 0x82f63b78;
/** Bytes taken at once, each of which has a table of its own. */
const width = 8;

/** `tables[k * 256 + byte]`: what a byte comes to that `k` more bytes follow. */
const tables = makeTables();

/** The checksum of bytes that come in pieces. The client's own takes a byte at a time, a tenth as fast. */
export class Crc32c {
  #value = -1;

  update(bytes: Uint8Array): void {
    let crc = this.#value;
    let at = 0;
    for (const end = bytes.length - (bytes.length % width); at < end; at += width) {
      const first = crc ^ word(bytes, at);
      const second = word(bytes, at + 4);
      crc =
        (tables[1_792 + (first & 0xff)] as number) ^
        (tables[1_536 + ((first >>> 8) & 0xff)] as number) ^
        (tables[1_280 + ((first >>> 16) & 0xff)] as number) ^
        (tables[1_024 + (first >>> 24)] as number) ^
        (tables[768 + (second & 0xff)] as number) ^
        (tables[512 + ((second >>> 8) & 0xff)] as number) ^
        (tables[256 + ((second >>> 16) & 0xff)] as number) ^
        (tables[second >>> 24] as number);
    }
    for (; at < bytes.length; at++) crc = (tables[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
    this.#value = crc;
  }

  /** As Google writes it: Base64 of the four bytes, the highest first. */
  toString(): string {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(~this.#value);
    return bytes.toString('base64');
  }
}

/** The checksum of a file. */
export async function crc32cOfFile(path: string): Promise<string> {
  const checksum = new Crc32c();
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) checksum.update(piece as Buffer);
  return checksum.toString();
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function makeTables(): Int32Array {
  const made = new Int32Array(width * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    made[byte] = value;
  }
  for (let at = 256; at < made.length; at++) {
    const previous = made[at - 256] as number;
    made[at] = (made[previous & 0xff] as number) ^ (previous >>> 8);
  }
  return made;
}
