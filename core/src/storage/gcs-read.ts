import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { File } from '@google-cloud/storage';
import { RiskModelError } from '../errors.ts';
import { within } from '../within.ts';
import { Crc32c } from './crc32c.ts';
import { isTransient, storageError } from './gcs-errors.ts';
import type { ObjectInfo } from './object-store.ts';
import { pauseAfter, type RetrySettings } from './retry.ts';

export interface ReadOptions {
  object: ObjectInfo;
  start: number;
  /** Exclusive. */
  end: number;
  /** Milliseconds within which the next bytes must come. */
  deadline: number;
  retry: RetrySettings;
}

/** An answer that brings fewer bytes has not moved a read on: a byte at a time would keep it going for ever. */
const leastProgress = 64 << 10;

/**
 * The bytes of a range, in pieces as they come. Where the connection breaks, or the body ends early, it is taken up again
 * at the next byte; failures count as in a row as long as no answer brings 64 KiB. What was streamed is never short, and
 * of a whole object its checksum is right.
 *
 * @param file with the generation to read
 * @throws the client's error when the first request is refused; RiskModelError `ObjectCorrupted` (may pass),
 * `StorageUnavailable` (may pass)
 */
export async function* readBytes(file: File, options: ReadOptions): AsyncGenerator<Buffer, void> {
  const { object, start, end, retry } = options;
  const isWhole = start === 0 && end === object.size && object.crc32c !== undefined;
  const checksum = isWhole ? new Crc32c() : undefined;
  let position = start;
  for (let failures = 0; position < end;) {
    const from = position;
    try {
      for await (const piece of request(file, { ...options, start: position })) {
        position += piece.length;
        if (position - from >= leastProgress) failures = 0;
        checksum?.update(piece);
        yield piece;
      }
      if (position < end) throw new Error(`the body ended ${end - position} bytes early`);
    } catch (error) {
      failures++;
      if (!isTransient(error)) throw error;
      if (failures >= retry.attempts) throw storageError(error, object.uri, 'storage.objects.get');
      await sleep(pauseAfter(failures, retry));
    }
  }
  if (checksum !== undefined && checksum.toString() !== object.crc32c) {
    throw new RiskModelError(
      'ObjectCorrupted',
      `${object.uri} has the CRC32C ${object.crc32c}, but what was read has ${checksum.toString()}`,
      { retry: 'later' },
    );
  }
}

/** One request. It fails rather than give a byte that was not asked for; it may end early. */
async function* request(file: File, { object, start, end, deadline }: ReadOptions): AsyncGenerator<Buffer, void> {
  const isRange = start > 0 || end < object.size;
  // `decompress: false`: the bytes as they are stored, which is what sizes, ranges and checksums are about.
  const body: Readable = file.createReadStream({
    decompress: false,
    validation: false,
    ...(isRange && { start, end: end - 1 }),
  });
  let answer: Answer | undefined;
  body.once('response', (response: Answer) => {
    // The client's own layers listen to it more often than Node finds usual, which it would write to standard error.
    response.setMaxListeners(0);
    answer = response;
  });
  let left = end - start;
  try {
    const pieces = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      // Only while bytes are waited for: a reader that takes its time is not late.
      const { done, value } = await within(deadline, pieces.next());
      if (done === true) return;
      if (answer !== undefined) checkAnswer(answer.headers, { object, start, isRange });
      left -= value.length;
      if (left < 0) throw new Error(`the body is ${-left} bytes longer than what was asked for`);
      yield value;
    }
  } finally {
    body.on('error', () => {});
    // The client fails, where nobody can catch it, when an answer comes for a body that is closed already.
    if (answer === undefined) body.once('response', () => setImmediate(() => body.destroy()));
    else body.destroy();
  }
}

type Answer = Readable & { headers: Record<string, string | undefined> };

/** Whatever is between us and Google may ignore the range, and would be taken for another part of the object. */
function checkAnswer(
  headers: Answer['headers'],
  { object, start, isRange }: { object: ObjectInfo; start: number; isRange: boolean },
): void {
  const range = headers['content-range'];
  if (isRange && range?.startsWith(`bytes ${start}-`) !== true) {
    throw new Error(`bytes from ${start} were asked for, and the answer is of ${range ?? 'all of them'}`);
  }
  const generation = headers['x-goog-generation'];
  if (generation !== undefined && generation !== object.generation) {
    throw new Error(`generation ${object.generation} was asked for, and ${generation} came`);
  }
}
