import type { Batcher } from './batcher.ts';
import type { PredictionCache } from './prediction-cache.ts';

/** Requests with more rows than this go to the model at once: hashing them would cost more than scoring them. */
const largestCachedRequest = 1_024;

/** Scores encoded rows: out of the cache where there is one and it knows them, else by the model. */
export class Scorer {
  readonly #batcher: Batcher;
  readonly #width: number;
  readonly #cache: PredictionCache | undefined;
  readonly #onScored: (probabilities: Float32Array) => void;

  /** @param options.onScored told of all probabilities that are answered, `[rows, 2]` */
  constructor(
    batcher: Batcher,
    options: {
      width: number;
      cache?: PredictionCache | undefined;
      onScored?: (probabilities: Float32Array) => void;
    },
  ) {
    this.#batcher = batcher;
    this.#width = options.width;
    this.#cache = options.cache;
    this.#onScored = options.onScored ?? (() => {});
  }

  /**
   * Scores a row-major matrix of exactly `[rows, width]`. A matrix of one row may be reused as soon as this returns;
   * a larger one must be left alone until answered.
   *
   * @returns row-major `[rows, 2]`: prob_0 and prob_1 of each row
   * @throws Error when the model answers with something that is no number, which nothing could be decided by
   */
  async score(matrix: Float32Array, rows: number): Promise<Float32Array> {
    const probabilities = await this.#lookUpOrRun(matrix, rows);
    if (!areFinite(probabilities)) throw new Error('the model answered with what is no number');
    this.#onScored(probabilities);
    return probabilities;
  }

  #lookUpOrRun(matrix: Float32Array, rows: number): Promise<Float32Array> {
    if (this.#cache === undefined || rows === 0 || rows > largestCachedRequest) {
      return this.#batcher.score(matrix, rows);
    }
    const keys = this.#cache.keys(matrix, rows);
    if (keys === undefined) return this.#batcher.score(matrix, rows);
    return this.#scoreMissing(this.#cache, keys, rows === 1 ? matrix.slice() : matrix, rows);
  }

  async #scoreMissing(
    cache: PredictionCache,
    keys: readonly string[],
    matrix: Float32Array,
    rows: number,
  ): Promise<Float32Array> {
    const probabilities = new Float32Array(rows * 2);
    const missing = await cache.read(keys, probabilities);
    if (missing.length === 0) return probabilities;
    const scored = await this.#batcher.score(
      missing.length === rows ? matrix : selectRows(matrix, this.#width, missing),
      missing.length,
    );
    for (const [index, row] of missing.entries()) {
      probabilities[row * 2] = scored[index * 2] as number;
      probabilities[row * 2 + 1] = scored[index * 2 + 1] as number;
    }
    cache.write(keys, missing, probabilities);
    return probabilities;
  }
}

function areFinite(numbers: Float32Array): boolean {
  for (let i = 0; i < numbers.length; i++) if (!Number.isFinite(numbers[i])) return false;
  return true;
}

function selectRows(matrix: Float32Array, width: number, rows: readonly number[]): Float32Array {
  const selected = new Float32Array(rows.length * width);
  for (const [index, row] of rows.entries()) {
    selected.set(matrix.subarray(row * width, (row + 1) * width), index * width);
  }
  return selected;
}
