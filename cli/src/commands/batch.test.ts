import { afterEach, describe, expect, test } from '@jest/globals';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { startFakeServer, type FakeServer } from '../testing/fake-server.ts';
import { runCommand, type CommandResult } from '../testing/fake-terminal.ts';
import { sampleBatch } from '../testing/sample-batch.ts';

let server: FakeServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** Runs `riskmodel batch ...` against a server that gives these answers, the last one again and again. */
async function batch(args: string[], ...answers: [number, unknown][]): Promise<CommandResult> {
  server = await startFakeServer(() => (answers.length > 1 ? answers.shift() : answers[0]) as [number, unknown]);
  return runCommand(['batch', ...args, '--server', server.url]);
}

const submit = ['submit', '--model', 'credit-default', '--input', 'gs://applications/may.parquet'];
const queued = sampleBatch({
  state: 'queued',
  rows: { total: null, done: 0, failed: 0 },
  startedAt: null,
  finishedAt: null,
});
const scoring: Batch = { ...queued, state: 'scoring', rows: { total: 2_000, done: 500, failed: 0 } };

describe('submit', () => {
  test('sends model, input and key, and prints the id', async () => {
    const result = await batch([...submit, '--idempotency-key', 'may'], [202, queued]);
    expect(result).toEqual({
      exitCode: 0,
      stdout: `batch ${queued.id} is queued\nsee it with: npx riskmodel batch get ${queued.id} --server ${server?.url}\n`,
      stderr: '',
    });
    expect(server?.requests.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { model: 'credit-default', input: 'gs://applications/may.parquet', idempotencyKey: 'may' },
    ]);
  });

  test('--format goes with the request; one that is none is a wrong call', async () => {
    await batch([...submit, '--format', 'csv'], [202, queued]);
    expect(JSON.parse(server?.requests[0]?.body ?? '')).toMatchObject({ format: 'csv' });
    await server?.close();
    const wrong = await batch([...submit, '--format', 'xlsx'], [202, queued]);
    expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('json, ndjson, csv, parquet') });
    expect(server?.requests).toEqual([]);
  });

  test('--wait prints each state, then rows, speed, tables and metrics', async () => {
    const result = await batch([...submit, '--wait'], [202, queued], [200, scoring], [200, sampleBatch()]);
    expect(result.stderr).toBe(
      [
        `batch ${queued.id}: queued`,
        `batch ${queued.id}: scoring (2,000 rows)`,
        `batch ${queued.id}: done (2,000 rows)`,
        '',
      ].join('\n'),
    );
    expect(result.stdout).toBe(`\
batch     ${queued.id}
model     credit-default
input     gs://applications/may.parquet
state     done
rows      1,997 of 2,000 scored
rejected  3 rows
time      2.00 s (999 rows/s)
results   /data/results
metrics   /data/metrics
rejects   /data/rejects

class         precision  recall  F1SCORE  support
0                0.9000  0.8000   0.8471    1,500
1                0.5000  0.6000   0.5455      497
accuracy         0.7500  0.7500   0.7500    1,997
macro avg        0.7000  0.7000   0.7000    1,997
weighted avg     0.8000  0.7500   0.7700    1,997
`);
    expect(result.exitCode).toBe(0);
  });

  test('--wait -o json prints the batch as the server gives it', async () => {
    const result = await batch([...submit, '--wait', '-o', 'json'], [202, queued], [200, sampleBatch()]);
    expect(JSON.parse(result.stdout)).toEqual(sampleBatch());
  });

  const ended: Batch = { ...scoring, rows: { total: 2_000, done: 500, failed: 1 } };
  const ends: [Batch, string][] = [
    [
      { ...ended, state: 'failed', error: { code: 'TooManyRejects', message: '60 of 100 rows are bad' } },
      `riskmodel: batch ${queued.id} failed: TooManyRejects: 60 of 100 rows are bad`,
    ],
    [{ ...ended, state: 'cancelled' }, `riskmodel: batch ${queued.id} was cancelled`],
  ];
  test.each(ends)('--wait exits 1 when the batch is $state', async (end, line) => {
    const result = await batch([...submit, '--wait'], [202, queued], [200, end]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr.trim().split('\n').at(-1)).toBe(line);
    expect(result.stdout).toContain(
      'rows      500 of 2,000 scored; nothing was written to the results\nrejected  1 row\n',
    );
  });

  test('--wait that is interrupted says that the batch goes on', async () => {
    const interrupt = new AbortController();
    server = await startFakeServer(({ method }) => {
      if (method === 'GET') interrupt.abort();
      return [200, scoring];
    });
    const args = ['batch', ...submit, '--wait', '--server', server.url];
    const result = await runCommand(args, { signal: interrupt.signal });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain(
      `riskmodel: batch ${queued.id} goes on: see "npx riskmodel batch get ${queued.id} --server ${server.url}"`,
    );
  });
});

describe('list', () => {
  test('prints one line a batch', async () => {
    const result = await batch(['list'], [200, { batches: [sampleBatch(), { ...scoring, id: 'b2' }] }]);
    expect(result.stdout).toBe(`\
ID                                    MODEL           STATE         ROWS  REJECTED  SECONDS  CREATED               INPUT
0b6c3a52-7d2f-4a53-8d0e-3f0a7a8e1c11  credit-default  done         1,997         3     2.00  2026-05-04T08:00:00Z  gs://applications/may.parquet
b2                                    credit-default  scoring  500/2,000         0           2026-05-04T08:00:00Z  gs://applications/may.parquet
`);
  });

  test('asks for the batches of one model', async () => {
    const result = await batch(['list', '--model', 'a b'], [200, { batches: [] }]);
    expect(result.stdout).toBe('There are no batches.\n');
    expect(server?.requests[0]?.path).toBe('/batches?model=a%20b');
  });
});

test('get shows a failed batch with its error and exits 0, since the question was answered', async () => {
  const failed = sampleBatch({ state: 'failed', error: { code: 'NotFound', message: 'gs://a/b does not exist' } });
  const result = await batch(['get', failed.id], [200, failed]);
  expect(result.stdout).toContain('error     NotFound: gs://a/b does not exist\n');
  expect(result.exitCode).toBe(0);
});

test('get of an unknown id exits 1', async () => {
  expect(await batch(['get', 'x'], [404, { detail: 'there is no batch of this id' }])).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'riskmodel: there is no batch of this id\n',
  });
});

test('cancel says what became of it', async () => {
  const result = await batch(['cancel', queued.id], [200, { ...queued, state: 'cancelled' }]);
  expect(result).toEqual({ exitCode: 0, stdout: `batch ${queued.id} is cancelled\n`, stderr: '' });
  expect(server?.requests).toMatchObject([{ method: 'DELETE', path: `/batches/${queued.id}` }]);
});

test('cancel exits 1 when it is too late', async () => {
  const tooLate = "the batch can't be cancelled any more: it is committing";
  expect(await batch(['cancel', 'x'], [409, { detail: tooLate }])).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: `riskmodel: ${tooLate}\n`,
  });
});
