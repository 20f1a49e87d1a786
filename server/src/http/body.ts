import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { HttpError } from './http-error.ts';
import { findSyntaxError, nestsTooDeep } from './json-syntax.ts';

const decompressors = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const;

/** Of a body over the limit this much is still read and dropped, so that the client gets to read its 413. */
const largestDiscard = 64 * 1024 * 1024;

/**
 * Reads a request's body, decompressing it if it says so.
 *
 * @param limit bytes, before and after decompression
 * @throws HttpError 413 (over the limit), 415 (unknown Content-Encoding), 400 (can't be decompressed, or cut short)
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding'];
  const body = collect(request, limit);
  return encoding === undefined || encoding === 'identity' ? body : decompressed(body, encoding, limit);
}

async function decompressed(sent: Promise<Buffer>, encoding: string, limit: number): Promise<Buffer> {
  const body = await sent;
  const decompress = Object.hasOwn(decompressors, encoding) && decompressors[encoding as keyof typeof decompressors];
  if (!decompress) {
    throw new HttpError(415, `Content-Encoding: must be one of ${Object.keys(decompressors).join(', ')}`);
  }
  try {
    return await decompress(body, { maxOutputLength: limit });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit);
    throw new HttpError(400, `body: is not what Content-Encoding says, ${encoding}`, { cause });
  }
}

function collect(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > limit) {
      discard(request);
      reject(tooLarge(limit));
      return;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > limit) {
        request.removeAllListeners('data');
        discard(request);
        reject(tooLarge(limit));
        return;
      }
      chunks.push(chunk);
    });
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length)));
    request.on('error', () => reject(new HttpError(400, 'body: ended before it was complete')));
  });
}

function discard(request: IncomingMessage): void {
  let dropped = 0;
  request.on('data', (chunk: Buffer) => {
    dropped += chunk.length;
    if (dropped > largestDiscard) request.destroy();
  });
}

function tooLarge(limit: number): HttpError {
  return new HttpError(413, `body: is larger than the limit of ${limit} bytes`);
}

/**
 * Refuses a body that is declared to be something other than JSON. One that declares nothing is taken for JSON.
 *
 * @throws HttpError 415
 */
export function requireJson(request: IncomingMessage): void {
  const type = request.headers['content-type'];
  if (type === undefined || type === 'application/json' || /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type))
    return;
  throw new HttpError(415, 'Content-Type: must be application/json');
}

/**
 * Parses a body as JSON.
 *
 * @throws HttpError 400 with the position of the first mistake and nothing of the content
 */
export function parseJson(body: Buffer): unknown {
  if (nestsTooDeep(body)) throw new HttpError(400, 'body: arrays and objects are nested too deep');
  const text = body.toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(400, `body: ${describeSyntaxError(text)}`);
  }
}

function describeSyntaxError(text: string): string {
  if (text.trim() === '') return 'is empty; expected JSON';
  const offset = findSyntaxError(text);
  if (offset >= text.length) return 'is not valid JSON: it ends too early';
  const line = text.slice(0, offset).split('\n');
  return `is not valid JSON at line ${line.length}, column ${(line.at(-1) as string).length + 1}`;
}

/** Reads a request's body as JSON, under the conditions of `requireJson`, `readBody` and `parseJson`. */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  requireJson(request);
  return parseJson(await readBody(request, limit));
}
