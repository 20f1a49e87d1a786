import { pino, type DestinationStream } from 'pino';

/** So many bytes are written as soon as they are there. */
const enough = 32 << 10;
/** And what is less, after so many milliseconds. */
const patience = 100;

/** The part of a stream of pino's that is needed here. */
export interface Sink {
  /** The bytes are the sink's own from then on. */
  write: (bytes: Uint8Array) => void;
}

/**
 * Hands lines on many at a time: at thousands a second, a write of each takes longer than making it, and so does joining
 * them as texts, which are copied once more to be bytes.
 */
export class LineCollector implements DestinationStream {
  readonly #sink: Sink;
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  write(line: string): void {
    // A character takes three bytes at most, of those that take one place in a text.
    const most = line.length * 3;
    if (this.#length + most > this.#bytes.length) this.#makeRoom(most);
    this.#length += this.#bytes.write(line, this.#length);
    if (this.#length >= enough) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), patience).unref();
  }

  /** Hands on what there is. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#length === 0) return;
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    this.#sink.write(bytes);
  }

  #makeRoom(bytes: number): void {
    this.flush();
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(enough + (8 << 10), bytes));
  }
}

/**
 * Standard output, which is written without waiting for whoever reads it. A program that ends writes the rest at its exit;
 * one that is killed loses a tenth of a second.
 */
export function standardOutput(): DestinationStream {
  let collector: LineCollector | undefined;
  // Before pino's own listeners, which close the stream.
  for (const event of ['beforeExit', 'exit'] as const) process.on(event, () => collector?.flush());
  collector = new LineCollector(pino.destination({ fd: 1, sync: false, contentMode: 'buffer' }) as unknown as Sink);
  return collector;
}
