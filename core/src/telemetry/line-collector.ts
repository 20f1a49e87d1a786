import { pino, type DestinationStream } from 'pino';

/** So many characters are written as soon as they are there. */
const enough = 32 << 10;
/** And what is less, after so many milliseconds. */
const patience = 100;

/** The part of a stream of pino's that is needed here. */
export interface Sink {
  write: (text: string) => void;
}

/**
 * Hands lines on many at a time: at thousands a second, a write of each takes longer than making it, and so does keeping
 * count of their bytes.
 */
export class LineCollector implements DestinationStream {
  readonly #sink: Sink;
  #lines: string[] = [];
  #length = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  write(line: string): void {
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length >= enough) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), patience).unref();
  }

  /** Hands on what there is. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines.length === 0) return;
    const text = this.#lines.join('');
    this.#lines = [];
    this.#length = 0;
    this.#sink.write(text);
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
  collector = new LineCollector(pino.destination({ fd: 1, sync: false }));
  return collector;
}
