import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { writeApplicants } from '../harness/applicants.ts';
import { GoogleCloud, isRealProject, whyNoGoogleCloud } from '../harness/google-cloud.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';

jest.setTimeout(isRealProject ? 600_000 : 120_000);

/** Rows of each of the files that make one input, in the order of their names. */
const sizes = [7_000, 1, 3_000];
const total = 10_001;

const summary = `count(*) AS rows_written, count(DISTINCT record_index) AS records, min(record_index) AS first,
  max(record_index) AS last, count(DISTINCT customer_id) AS customers`;

describe('several files in folders', () => {
  let system: LocalSystem;

  beforeAll(async () => {
    system = await LocalSystem.start({ manifest: exampleManifest({ chunkRows: 1_000 }) });
    await system.startWorker();
  });

  afterAll(() => system.stop());

  test.each(['ndjson', 'csv.gz', 'parquet'])('of %s are one batch, whose records count on', async (extension) => {
    for (const [index, rows] of sizes.entries()) {
      const out = system.pathOf(`gs://inputs/${extension}/day=${index}/part.${extension}`);
      await writeApplicants({ rows, seed: index + 1, out });
    }
    const batch = await system.run(`gs://inputs/${extension}/*/part.${extension}`);
    expect(batch).toMatchObject({ state: 'done', rows: { total, done: total, failed: 0 } });
    const [found] = await system.query(
      `SELECT ${summary} FROM ${system.table('results')} WHERE batch_id = '${batch.id}'`,
    );
    const counted = Object.fromEntries(Object.entries(found ?? {}).map(([name, value]) => [name, Number(value)]));
    expect(counted).toMatchObject({ rows_written: total, records: total, first: 0, last: total - 1 });
  });

  test('that have different columns fail with the name of the file', async () => {
    await system.put('gs://inputs/mixed/a.csv', { text: 'a,b\n1,2\n' });
    await system.put('gs://inputs/mixed/b.csv', { text: 'a\n1\n' });
    expect(await system.run('gs://inputs/mixed/')).toMatchObject({
      state: 'failed',
      error: {
        code: 'MixedFiles',
        message:
          'gs://inputs/mixed/b.csv lacks the column "b", which gs://inputs/mixed/a.csv has: the files of one batch must have the same format and columns',
      },
    });
  });
});

const reason = await whyNoGoogleCloud();

(reason === undefined ? describe : describe.skip)('objects in Cloud Storage', () => {
  let cloud: GoogleCloud;
  let system: LocalSystem;

  beforeAll(async () => {
    cloud = await GoogleCloud.start();
    const manifest = exampleManifest({ chunkRows: 1_000, output: { dataset: cloud.dataset } });
    system = await LocalSystem.start({ manifest });
    await Promise.all([system.startWorker(cloud.environment), system.startWorker(cloud.environment)]);
  });

  afterAll(async () => {
    await system.stop();
    await cloud.stop();
  });

  test.each(['parquet', 'ndjson.gz'])('several of %s are one batch of two workers', async (extension) => {
    const folder = `in-${randomUUID().slice(0, 8)}`;
    for (const [index, rows] of sizes.entries()) {
      const out = join(system.folder, `${index}.${extension}`);
      await writeApplicants({ rows, seed: index + 1, out });
      await cloud.upload(`${folder}/day=2026-11-23/part-${index}.${extension}`, out);
    }
    await cloud.put(`${folder}/day=2026-11-23/_SUCCESS`, '');
    const batch = await system.run(`${cloud.folderUri}/${folder}/day=2026-11-23/*.${extension}`);
    expect(batch).toMatchObject({ state: 'done', rows: { total, done: total, failed: 0 } });
    const [found] = await cloud.query(`SELECT ${summary} FROM risk_model_results WHERE batch_id = '${batch.id}'`);
    const counted = Object.fromEntries(Object.entries(found ?? {}).map(([name, value]) => [name, Number(value)]));
    expect(counted).toMatchObject({ rows_written: total, records: total, first: 0, last: total - 1 });
  });
});
