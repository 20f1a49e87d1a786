import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { writeApplicants } from '../harness/applicants.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';

jest.setTimeout(600_000);

const rows = 2_000_000;
let system: LocalSystem;

beforeAll(async () => {
  system = await LocalSystem.start();
});

afterAll(() => system.stop());

test.each(['parquet', 'csv', 'ndjson'])(
  '2,000,000 rows of %s end in the warehouse in under 700 MB',
  async (extension) => {
    const uri = `gs://inputs/applicants.${extension}`;
    await writeApplicants({ rows, seed: 21, out: system.pathOf(uri) });
    const worker = await system.startWorker();
    const started = performance.now();
    const batch = await system.run(uri);
    const seconds = (performance.now() - started) / 1000;
    const memory = Math.round(worker.peakMemory() / 1e6);
    await worker.stop();
    printFigure(
      `${rows} rows from ${extension}: ${seconds.toFixed(1)} s, ${Math.round(rows / seconds).toLocaleString('en')} rows/s, one worker, at most ${memory} MB`,
    );
    expect(batch).toMatchObject({ state: 'done', rows: { total: rows, done: rows, failed: 0 } });
    const [results] = await system.query(
      `SELECT count(*)::INTEGER AS rows, count(DISTINCT record_index)::INTEGER AS records FROM ${system.table('results')} WHERE batch_id = '${batch.id}'`,
    );
    expect(results).toEqual({ rows, records: rows });
    expect(memory).toBeLessThan(700);
  },
);
