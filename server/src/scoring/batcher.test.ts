import { setImmediate as immediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { Batcher, Overloaded, type ModelRun } from './batcher.ts';

/** Answers a row [x, y] with [x, y], when told to, so that tests decide when a run ends. */
class ManualModel implements ModelRun {
  readonly runs: { rows: number; end: (error?: Error) => void }[] = [];

  run(matrix: Float32Array, rows: number): Promise<Float32Array> {
    expect(matrix).toHaveLength(rows * 2);
    return new Promise((resolve, reject) => {
      this.runs.push({ rows, end: (error) => (error === undefined ? resolve(matrix.slice()) : reject(error)) });
    });
  }

  end(run: number, error?: Error): void {
    this.runs[run]?.end(error);
  }
}

/** Lets promises go on, and a run begin that one of them asks for. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await immediate();
}

describe('Batcher', () => {
  test('a lone request waits for nobody, and those of one turn of the event loop share a run', async () => {
    const model = new ManualModel();
    const batcher = new Batcher(model, { width: 2 });
    const lone = batcher.score(Float32Array.of(1, 2), 1);
    await immediate();
    expect(model.runs).toMatchObject([{ rows: 1 }]);
    model.end(0);
    expect([...(await lone)]).toEqual([1, 2]);
    const answers = [3, 4, 5].map((n) => batcher.score(Float32Array.of(n, n), 1));
    await settle();
    model.end(1);
    expect((await Promise.all(answers)).map(([value]) => value)).toEqual([3, 4, 5]);
    expect(model.runs.map(({ rows }) => rows)).toEqual([1, 3]);
  });

  test('requests that come during a run share the next, and each gets its own rows', async () => {
    const model = new ManualModel();
    const batcher = new Batcher(model, { width: 2 });
    const row = new Float32Array(2);
    const answers: Promise<Float32Array>[] = [];
    for (const n of [1, 2, 3]) {
      row.set([n, -n]);
      // The same array every time, as the routes do it.
      answers.push(batcher.score(row, 1));
      if (n === 1) await settle();
    }
    answers.push(batcher.score(Float32Array.of(4, -4, 5, -5), 2));
    model.end(0);
    await settle();
    model.end(1);
    expect((await Promise.all(answers)).map((answer) => [...answer])).toEqual([
      [1, -1],
      [2, -2],
      [3, -3],
      [4, -4, 5, -5],
    ]);
    expect(model.runs.map(({ rows }) => rows)).toEqual([1, 4]);
  });

  test('a run takes no more rows than it may; the rest wait for the one after', async () => {
    const model = new ManualModel();
    const batcher = new Batcher(model, { width: 2, largestRun: 3 });
    const answers = [1, 2, 3, 4, 5, 6, 7].map((n) => batcher.score(Float32Array.of(n, n), 1));
    await settle();
    for (let run = 0; run < 3; run++) {
      model.end(run);
      await settle();
    }
    expect((await Promise.all(answers)).map(([value]) => value)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(model.runs.map(({ rows }) => rows)).toEqual([3, 3, 1]);
  });

  test('a request larger than a run goes in parts, and a small one gets its turn between them', async () => {
    const model = new ManualModel();
    const batcher = new Batcher(model, { width: 2, largestRun: 2 });
    const large = batcher.score(Float32Array.of(1, 1, 2, 2, 3, 3, 4, 4, 5, 5), 5);
    await settle();
    const small = batcher.score(Float32Array.of(9, 9), 1);
    model.end(0);
    await settle();
    model.end(1);
    expect([...(await small)]).toEqual([9, 9]);
    for (let run = 2; run < 4; run++) {
      await settle();
      model.end(run);
    }
    expect([...(await large)]).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
  });

  test('a run that fails fails its own requests, and the next goes on', async () => {
    const model = new ManualModel();
    const batcher = new Batcher(model, { width: 2 });
    const first = batcher.score(Float32Array.of(1, 1), 1);
    await settle();
    const second = batcher.score(Float32Array.of(2, 2), 1);
    model.end(0, new Error('out of memory'));
    await expect(first).rejects.toThrow('out of memory');
    await settle();
    model.end(1);
    expect([...(await second)]).toEqual([2, 2]);
  });

  test('an answer of the wrong length is a failure', async () => {
    const batcher = new Batcher({ run: async () => new Float32Array(3) }, { width: 2 });
    await expect(batcher.score(Float32Array.of(1, 1), 1)).rejects.toThrow('answered 1 rows with 3 numbers');
  });

  describe('when the queue is full', () => {
    const full = { width: 2, largestRun: 2, largestQueue: 2 };

    /** A batcher whose run is under way and whose queue is full, of single rows. */
    async function fill(): Promise<{
      model: ManualModel;
      batcher: Batcher;
      taken: Promise<Float32Array>[];
      shed: () => number;
    }> {
      let shed = 0;
      const model = new ManualModel();
      const batcher = new Batcher(model, { ...full, onShed: () => shed++ });
      const taken = [batcher.score(Float32Array.of(1, 1), 1)];
      await settle();
      taken.push(...[2, 3, 4, 5].map((n) => batcher.score(Float32Array.of(n, n), 1)));
      return { model, batcher, taken, shed: () => shed };
    }

    test('a further request is turned away and counted, those that wait are answered', async () => {
      const { model, batcher, taken, shed } = await fill();
      await expect(batcher.score(Float32Array.of(6, 6), 1)).rejects.toThrow(Overloaded);
      await expect(batcher.score(new Float32Array(6), 3)).rejects.toThrow('4 rows wait for the model');
      expect(shed()).toBe(2);
      for (let run = 0; run < 3; run++) {
        model.end(run);
        await settle();
      }
      expect((await Promise.all(taken)).map(([value]) => value)).toEqual([1, 2, 3, 4, 5]);
      expect(model.runs.map(({ rows }) => rows)).toEqual([1, 2, 2]);
    });

    test('requests are taken on again as soon as a run has begun with some of those that waited', async () => {
      const { model, batcher, shed } = await fill();
      model.end(0);
      await settle();
      const next = batcher.score(Float32Array.of(6, 6), 1);
      for (let run = 1; run < 4; run++) {
        model.end(run);
        await settle();
      }
      expect([...(await next)]).toEqual([6, 6]);
      expect(shed()).toBe(0);
    });

    test('no rows are answered all the same', async () => {
      expect(await (await fill()).batcher.score(new Float32Array(0), 0)).toHaveLength(0);
    });

    test('a request larger than the queue is taken on by an idle model, and counts with all its parts', async () => {
      const model = new ManualModel();
      const batcher = new Batcher(model, full);
      const large = batcher.score(Float32Array.of(1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), 7);
      await settle();
      await expect(batcher.score(Float32Array.of(9, 9), 1)).rejects.toThrow('5 rows wait');
      for (let run = 0; run < 4; run++) {
        model.end(run);
        await settle();
      }
      expect(await large).toHaveLength(14);
    });

    test('parts that are given up after a failure no longer count', async () => {
      const model = new ManualModel();
      const batcher = new Batcher(model, full);
      const large = batcher.score(new Float32Array(14), 7);
      await settle();
      model.end(0, new Error('out of memory'));
      await expect(large).rejects.toThrow('out of memory');
      // Exactly as many rows as from the start.
      const taken = [batcher.score(Float32Array.of(1, 1), 1)];
      await settle();
      taken.push(...[2, 3, 4, 5].map((n) => batcher.score(Float32Array.of(n, n), 1)));
      await expect(batcher.score(Float32Array.of(6, 6), 1)).rejects.toThrow('4 rows wait');
      for (let run = 1; run < 4; run++) {
        model.end(run);
        await settle();
      }
      expect(await Promise.all(taken)).toHaveLength(5);
    });
  });

  test('no rows are no run', async () => {
    const model = new ManualModel();
    expect(await new Batcher(model, { width: 2 }).score(new Float32Array(0), 0)).toHaveLength(0);
    expect(model.runs).toHaveLength(0);
  });

  test('buffers that are used again do not mix up thousands of interleaved requests', async () => {
    const batcher = new Batcher(
      {
        run: async (matrix) => {
          await immediate();
          return matrix.slice();
        },
      },
      { width: 2, largestRun: 7 },
    );
    const answers: Promise<Float32Array>[] = [];
    for (let n = 0; n < 2_000; n++) {
      answers.push(batcher.score(Float32Array.of(n, -n), 1));
      if (n % 3 === 0) await immediate();
    }
    expect((await Promise.all(answers)).map(([value]) => value)).toEqual(Array.from({ length: 2_000 }, (_, n) => n));
  });
});
