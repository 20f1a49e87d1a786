import { RiskModelError } from '@riskmodel/core/errors.ts';

/** The part of core's Session that scoring needs. */
export interface ModelRun {
  /** Scores `rows` rows of a row-major `[rows, width]` matrix; answers row-major `[rows, 2]`. */
  run(matrix: Float32Array, rows: number): Promise<Float32Array>;
}

/** Told of every run of the model: how many rows it took and how long, in seconds. */
export type RunObserver = (rows: number, seconds: number) => void;

/** More rows wait for the model than it will have scored before their clients lose patience. */
export class Overloaded extends RiskModelError {
  constructor(waitingRows: number) {
    super('Overloaded', `too many requests: ${waitingRows} rows wait for the model; try again later`, {
      retry: 'later',
    });
    this.name = 'Overloaded';
  }
}

/** Requests in the rows of one run. */
interface Run {
  matrix: Float32Array;
  rows: number;
  waiters: Waiter[];
}

interface Waiter {
  from: number;
  rows: number;
  resolve: (probabilities: Float32Array) => void;
  reject: (error: unknown) => void;
}

/** The rows of one model run at most: enough to make use of vectors, few enough not to keep a small request waiting. */
export const largestRun = 1_024;

/**
 * With so many runs' worth of rows waiting, further requests are turned away: answers that come after their clients
 * have gone help nobody, and what waits takes memory. A run takes milliseconds, so this is a wait of less than a second
 * for most models.
 */
export const largestQueue = 64;

/**
 * Scores requests that wait together in one run of the model. A run begins when this turn of the event loop has read
 * what had come, so a lone request waits for nobody, and those that came at once share a run; rows that arrive during a
 * run go into the next. A run costs about as much for one row as for dozens, which is why this pays. The queue is
 * bounded: a request that comes when it is full is turned away.
 */
export class Batcher {
  readonly #model: ModelRun;
  readonly #width: number;
  readonly #largestRun: number;
  readonly #maxWaitingRows: number;
  readonly #onRun: RunObserver;
  readonly #onShed: () => void;
  /** Runs that wait, the last of which may have room left. */
  readonly #waiting: Run[] = [];
  /** Done with, to be filled again. */
  readonly #spare: Run[] = [];
  #running = false;
  /** Rows of the requests taken on that no run has begun with. */
  #waitingRows = 0;

  /**
   * @param options.width features of a row
   * @param options.largestQueue number of full runs that may wait
   * @param options.onShed told of every request that is turned away
   */
  constructor(
    model: ModelRun,
    options: {
      width: number;
      largestRun?: number;
      largestQueue?: number;
      onRun?: RunObserver;
      onShed?: () => void;
    },
  ) {
    this.#model = model;
    this.#width = options.width;
    this.#largestRun = options.largestRun ?? largestRun;
    this.#maxWaitingRows = this.#largestRun * (options.largestQueue ?? largestQueue);
    this.#onRun = options.onRun ?? (() => {});
    this.#onShed = options.onShed ?? (() => {});
  }

  /**
   * Scores the first `rows` rows of a row-major `[rows, width]` matrix. Up to `largestRun` rows are copied before this
   * returns, so the caller may reuse the matrix at once; with more rows it must leave the matrix alone until answered.
   *
   * @returns row-major `[rows, 2]`
   * @throws Overloaded when the queue is full, whatever the request's own size: an idle model takes any;
   *   or what the run threw that scored these rows; other requests are not affected by it unless they shared the run
   */
  score(matrix: Float32Array, rows: number): Promise<Float32Array> {
    if (rows === 0) return Promise.resolve(new Float32Array(0));
    if (this.#waitingRows >= this.#maxWaitingRows) {
      this.#onShed();
      return Promise.reject(new Overloaded(this.#waitingRows));
    }
    this.#waitingRows += rows;
    return rows <= this.#largestRun ? this.#enqueue(matrix, 0, rows) : this.#scoreInParts(matrix, rows);
  }

  /** One part after the other, so that requests which arrive meanwhile get their turn in between. */
  async #scoreInParts(matrix: Float32Array, rows: number): Promise<Float32Array> {
    const probabilities = new Float32Array(rows * 2);
    let from = 0;
    try {
      while (from < rows) {
        const part = Math.min(this.#largestRun, rows - from);
        const answer = this.#enqueue(matrix, from, part);
        const first = from;
        from += part;
        probabilities.set(await answer, first * 2);
      }
    } finally {
      // After a run that failed the other parts wait no longer.
      this.#waitingRows -= rows - from;
    }
    return probabilities;
  }

  #enqueue(matrix: Float32Array, first: number, rows: number): Promise<Float32Array> {
    const run = this.#runWithRoom(rows);
    const width = this.#width;
    const source =
      first === 0 && matrix.length === rows * width ? matrix : matrix.subarray(first * width, (first + rows) * width);
    run.matrix.set(source, run.rows * width);
    const answer = new Promise<Float32Array>((resolve, reject) => {
      run.waiters.push({ from: run.rows, rows, resolve, reject });
    });
    run.rows += rows;
    if (!this.#running) this.#beginRun();
    return answer;
  }

  #runWithRoom(rows: number): Run {
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.rows + rows <= this.#largestRun) return last;
    const run = this.#spare.pop() ?? {
      matrix: new Float32Array(this.#largestRun * this.#width),
      rows: 0,
      waiters: [],
    };
    this.#waiting.push(run);
    return run;
  }

  #beginRun(): void {
    this.#running = true;
    setImmediate(() => void this.#work());
  }

  async #work(): Promise<void> {
    const run = this.#waiting.shift() as Run;
    this.#waitingRows -= run.rows;
    await this.#execute(run);
    run.rows = 0;
    run.waiters = [];
    // Two take turns; more are left over from a crowd only, and are better given back.
    if (this.#spare.length < 2) this.#spare.push(run);
    if (this.#waiting.length > 0) this.#beginRun();
    else this.#running = false;
  }

  async #execute({ matrix, rows, waiters }: Run): Promise<void> {
    const started = performance.now();
    try {
      const probabilities = await this.#model.run(matrix.subarray(0, rows * this.#width), rows);
      if (probabilities.length !== rows * 2) {
        throw new Error(`the model answered ${rows} rows with ${probabilities.length} numbers`);
      }
      for (const waiter of waiters) {
        waiter.resolve(probabilities.subarray(waiter.from * 2, (waiter.from + waiter.rows) * 2));
      }
      this.#onRun(rows, (performance.now() - started) / 1_000);
    } catch (error) {
      for (const waiter of waiters) waiter.reject(error);
    }
  }
}
