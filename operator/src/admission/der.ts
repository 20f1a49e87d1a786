// DER, the encoding of certificates (ITU-T X.690), as far as making one takes. It only writes: what comes from
// elsewhere is read by Node's own X509Certificate.

/** `TAG LENGTH CONTENT`. */
export function element(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), encodeLength(content.length), content]);
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes = Buffer.from(evenHex(length.toString(16)), 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

function evenHex(hex: string): string {
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}

export const sequence = (...contents: Buffer[]): Buffer => element(0x30, ...contents);
export const set = (...contents: Buffer[]): Buffer => element(0x31, ...contents);
export const boolean = (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0]));
export const octetString = (content: Buffer): Buffer => element(0x04, content);
export const utf8String = (text: string): Buffer => element(0x0c, Buffer.from(text));
/** A tag whose meaning the structure around it gives; primitive unless `constructed`. */
export const contextTag = (number: number, content: Buffer, constructed = false): Buffer =>
  element((constructed ? 0xa0 : 0x80) | number, content);

/** @param magnitude the number's bytes, most significant first; it is not negative */
export function integer(magnitude: Buffer | number): Buffer {
  const bytes = typeof magnitude === 'number' ? Buffer.from(evenHex(magnitude.toString(16)), 'hex') : magnitude;
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Buffer.from([0]) : bytes.subarray(start);
  // A first bit that is set would mean a negative number.
  return element(0x02, (digits[0] as number) >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

/** @param unused how many bits at the end mean nothing */
export function bitString(bytes: Buffer, unused = 0): Buffer {
  return element(0x03, Buffer.from([unused]), bytes);
}

/** @param dotted such as `2.5.29.17` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** A moment to the second: UTCTime up to 2049, GeneralizedTime after it, as RFC 5280 wants. */
export function time(date: Date): Buffer {
  const text = `${date
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:T]/g, '')}Z`;
  const isShort = date.getUTCFullYear() < 2050;
  return element(isShort ? 0x17 : 0x18, Buffer.from(isShort ? text.slice(2) : text, 'ascii'));
}
