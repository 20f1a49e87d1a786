import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Engine, literal } from '@riskmodel/core/columnar/engine.ts';
import type { BigQueryOptions } from '@riskmodel/core/warehouse/bigquery-api.ts';
import { jobId } from '@riskmodel/core/warehouse/bigquery-job.ts';
import { BigQueryWarehouse } from '@riskmodel/core/warehouse/bigquery.ts';
import { metricsTable, rejectsTable, resultsTable } from '@riskmodel/core/warehouse/tables.ts';
import { describeWarehouse } from '@riskmodel/core/warehouse/testing/warehouse-contract.ts';
import type { Column, Commit, Table } from '@riskmodel/core/warehouse/warehouse.ts';
import type { CommitOrder } from '../harness/bigquery-commit.ts';
import { eventually } from '../harness/eventually.ts';
import { FaultyProxy, type DecideFate, type Fate } from '../harness/faulty-proxy.ts';
import { printFigure } from '../harness/figures.ts';
import { GoogleCloud, isRealProject, whyNoGoogleCloud } from '../harness/google-cloud.ts';
import { repository } from '../harness/local-system.ts';
import { Program } from '../harness/program.ts';

jest.setTimeout(isRealProject ? 600_000 : 180_000);

const reason = await whyNoGoogleCloud();
const run = randomUUID().slice(0, 8);
const id: Column = { name: 'id', type: 'INT64' };
const note: Column = { name: 'note', type: 'STRING' };

(reason === undefined ? describe : describe.skip)('BigQuery', () => {
  let cloud: GoogleCloud;
  let folder: string;
  let engine: Engine;
  let warehouse: BigQueryWarehouse;
  let table: Table;
  let commit: Commit;
  let count = 0;

  beforeAll(async () => {
    cloud = await GoogleCloud.start();
    folder = await mkdtemp(join(tmpdir(), 'riskmodel-bigquery-test-'));
    engine = await Engine.open({ threads: 1, memoryLimit: 200e6, tempDir: folder });
    warehouse = open();
  });

  afterAll(async () => {
    engine.close();
    const [tables] = await cloud.bigQuery.dataset(cloud.dataset).getTables();
    const own = tables.filter(({ id: name }) => name?.includes(`_${run}_`) || name?.startsWith('contract_'));
    if (isRealProject) for (const made of own) await made.delete();
    await cloud.stop();
    await rm(folder, { recursive: true });
  });

  beforeEach(() => {
    count++;
    table = { dataset: cloud.dataset, name: `bigquery_${run}_${count}`, columns: [id, note] };
    commit = { id: `commit-${run}-${count}`, model: 'Credit.Default' };
  });

  function open(options: BigQueryOptions = {}): BigQueryWarehouse {
    return new BigQueryWarehouse({ project: cloud.project, ...cloud.endpoint, ...options });
  }

  async function stage(sql: string): Promise<string> {
    const name = `${randomUUID()}.parquet`;
    const file = join(folder, name);
    await engine.use((connection) => connection.run(`COPY (${sql}) TO ${literal(file)} (FORMAT parquet)`));
    return cloud.upload(name, file);
  }

  function staged(...ids: number[]): Promise<string> {
    return stage(`SELECT i::BIGINT AS id, 'row ' || i AS note FROM unnest([${ids.join(', ')}]) AS v(i)`);
  }

  async function idsInTable(): Promise<number[]> {
    const rows = await cloud.query(`SELECT id FROM ${table.name} ORDER BY id`);
    return rows.map((row) => Number(row['id']));
  }

  async function metadataOf(name: string): Promise<Record<string, unknown>> {
    const [metadata] = await cloud.bigQuery.dataset(cloud.dataset).table(name).getMetadata();
    return metadata as Record<string, unknown>;
  }

  /** A process of its own that makes this test's commit. */
  function orderOf(uris: string[], endpoint?: string): Program {
    const options = { project: cloud.project, ...cloud.endpoint, ...(endpoint !== undefined && { endpoint }) };
    const order: CommitOrder = { options, table, uris, commit };
    return new Program('commit', join(repository, 'test/harness/bigquery-commit.ts'), {
      ...process.env,
      NODE_OPTIONS: '',
      COMMIT: JSON.stringify(order),
    });
  }

  describeWarehouse(async () => ({
    warehouse: open(),
    dataset: cloud.dataset,
    stage: (name, file) => cloud.upload(name, file),
    select: (columns, { name }) => cloud.query(`SELECT ${columns} FROM ${name}`),
    close: async () => {},
  }));

  describe('a table', () => {
    test.each([
      ['results', (dataset: string) => resultsTable(dataset, [id, note])],
      ['metrics', metricsTable],
      ['rejects', rejectsTable],
    ])('of %s is partitioned by the day of prediction and clustered by model and batch', async (kind, make) => {
      const made = { ...make(cloud.dataset), name: `layout_${run}_${kind}` };
      await warehouse.prepare(made);
      const metadata = await metadataOf(made.name);
      expect(metadata).toMatchObject({
        timePartitioning: { type: 'DAY', field: 'pred_datetime' },
        clustering: { fields: ['model', 'batch_id'] },
      });
      const { fields } = metadata['schema'] as { fields: { name: string; mode?: string }[] };
      expect(fields.map(({ name }) => name)).toEqual(made.columns.map(({ name }) => name));
      expect(fields.filter(({ mode }) => mode !== undefined && mode !== 'NULLABLE')).toEqual([]);
    });

    test('gains columns, and keeps its layout and its rows', async () => {
      const narrow = { ...resultsTable(cloud.dataset, [id]), name: table.name };
      await warehouse.prepare(narrow);
      const columns: Column[] = [id, { name: 'prob_0', type: 'FLOAT64' }];
      const staged = await stage('SELECT 1::BIGINT AS id, 0.5::DOUBLE AS prob_0');
      await warehouse.append({ ...narrow, columns }, [staged], commit);
      await warehouse.prepare({ ...resultsTable(cloud.dataset, [note]), name: table.name });
      const metadata = await metadataOf(table.name);
      const { fields } = metadata['schema'] as { fields: { name: string }[] };
      expect(fields.map(({ name }) => name)).toEqual([...narrow.columns.map(({ name }) => name), 'note']);
      expect(metadata).toMatchObject({ timePartitioning: { field: 'pred_datetime' } });
      expect(await cloud.query(`SELECT id, prob_0, note FROM ${table.name}`)).toEqual([
        { id: 1, prob_0: 0.5, note: null },
      ]);
    });

    test.each<[why: string, schema: object[], message: string]>([
      ['an ARRAY', [{ name: 'id', type: 'INTEGER', mode: 'REPEATED' }], 'has id as ARRAY<INT64>'],
      ['a type of its own', [{ name: 'id', type: 'NUMERIC' }], 'has id as NUMERIC'],
      [
        'a REQUIRED column',
        [
          { name: 'id', type: 'INTEGER' },
          { name: 'branch', type: 'STRING', mode: 'REQUIRED' },
        ],
        'column branch of DATASET.TABLE is REQUIRED, and what is appended may lack it',
      ],
    ])('that someone made with %s is refused before anything is scored', async (_, schema, message) => {
      await cloud.bigQuery.dataset(cloud.dataset).createTable(table.name, { schema: { fields: schema } });
      await expect(warehouse.prepare(table)).rejects.toMatchObject({
        code: 'TableTypeConflict',
        message: expect.stringContaining(message.replace('DATASET.TABLE', `${cloud.dataset}.${table.name}`)),
      });
    });

    test('that is a view is refused', async () => {
      await cloud.bigQuery.dataset(cloud.dataset).createTable(table.name, { view: 'SELECT 1 AS id' });
      await expect(warehouse.prepare(table)).rejects.toThrow('is a view, to which nothing can be appended');
    });

    test('of a dataset that is not there is not made, and says how to make the dataset', async () => {
      await expect(warehouse.prepare({ ...table, dataset: 'nowhere' })).rejects.toMatchObject({
        code: 'DatasetNotFound',
        retry: 'never',
        message: expect.stringMatching(
          /^dataset [\w-]+\.nowhere does not exist: make it with "bq mk --dataset --location=LOCATION [\w-]+:nowhere".*roles\/bigquery\.dataEditor/,
        ),
      });
    });

    test('is located by project, dataset and name', () => {
      expect(warehouse.locate(table)).toBe(`${cloud.project}.${cloud.dataset}.${table.name}`);
    });
  });

  describe('a commit', () => {
    beforeEach(() => warehouse.prepare(table));

    test('is one load job, with labels to tell its cost by', async () => {
      const uris = [await staged(1), await staged(2)];
      await warehouse.append(table, uris, commit);
      const job = cloud.bigQuery.job(jobId('load', [table.dataset, table.name, commit.id]));
      const [{ configuration }] = (await job.getMetadata()) as [{ configuration: object }, unknown];
      expect(configuration).toMatchObject({
        labels: { model: 'credit_default', batch: commit.id },
        load: {
          sourceUris: uris,
          sourceFormat: 'PARQUET',
          writeDisposition: 'WRITE_APPEND',
          createDisposition: 'CREATE_NEVER',
        },
      });
    });

    test('of data that do not fit says so as BigQuery does, and leaves the table as it was', async () => {
      await warehouse.append(table, [await staged(1)], commit);
      const bad = await stage(`SELECT 'not a number' AS id, 'x' AS note`);
      await expect(
        warehouse.append(table, [await staged(2), bad], { ...commit, id: `${commit.id}-bad` }),
      ).rejects.toMatchObject({
        code: 'BigQueryError',
        retry: 'never',
        message: expect.stringMatching(
          new RegExp(
            `^loading 2 objects into [\\w-]+\\.${cloud.dataset}\\.${table.name} \\(job riskmodel-load-.*\\): invalid`,
          ),
        ),
      });
      expect(await idsInTable()).toEqual([1]);
    });

    test('made by four processes at once lands once', async () => {
      const uris = [await staged(1, 2), await staged(3)];
      const processes = Array.from({ length: 4 }, () => orderOf(uris));
      const lines = await Promise.all(processes.map((process) => process.waitForLine(/^landed/)));
      expect(lines.toSorted()).toEqual(['landed: false', 'landed: false', 'landed: false', 'landed: true']);
      expect(await idsInTable()).toEqual([1, 2, 3]);
    });

    (isRealProject ? describe.skip : describe)('over a network that fails', () => {
      let proxy: FaultyProxy;

      beforeEach(async () => {
        proxy = await FaultyProxy.start(cloud.emulators?.bigQuery.url as string);
      });

      afterEach(() => proxy.stop());

      /** The warehouse through the proxy; its waits are a fiftieth of what they are. */
      function openThrough(decide: DecideFate, options: BigQueryOptions = {}): BigQueryWarehouse {
        proxy.decide = decide;
        const clock = {
          now: () => performance.now(),
          sleep: (milliseconds: number) => sleep(milliseconds / 50),
          random: () => 0.5,
        };
        return open({ endpoint: proxy.url, clock, ...options });
      }

      const fates: [name: string, fate: Fate][] = [
        ['a connection that is reset', 'reset'],
        ['a reply that is lost', 'lose-reply'],
        ['429', { status: 429 }],
        ['503 with no body', { status: 503 }],
        ['500 of a front end, in HTML', { status: 500, body: '<html>', headers: { 'content-type': 'text/html' } }],
        ['rateLimitExceeded', refusal(403, 'rateLimitExceeded')],
        ['a body that breaks off', { truncateAfter: 20 }],
        ['a body that breaks off quietly', { truncateAfter: 20, quietly: true }],
        ['a body that takes longer than a call may', { slow: 60, pieceBytes: 10 }],
      ];

      test.each(fates)('lands once with %s at any of its calls', async (_, fate) => {
        const uris = [await staged(1, 2), await staged(3)];
        const counted = openThrough(() => 'pass');
        await counted.prepare({ ...table, name: `${table.name}_counted` });
        await counted.append({ ...table, name: `${table.name}_counted` }, uris, commit);
        const calls = proxy.calls.length;
        expect(calls).toBeGreaterThanOrEqual(4);
        for (let faulty = 0; faulty < calls; faulty++) {
          const first = proxy.calls.length;
          const at = { ...table, name: `${table.name}_${faulty}` };
          const through = openThrough(({ index }) => (index === first + faulty ? fate : 'pass'), {
            callTimeout: 1_000,
          });
          await through.prepare(at);
          await through.append(at, uris, commit);
          await through.append(at, uris, commit);
          const rows = await cloud.query(`SELECT id FROM ${at.name} ORDER BY id`);
          expect(rows).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
        }
        printFigure(`${calls} calls of a commit, each failing once: every row once`);
      });

      test('gives up on a service that stays away, and can be made later', async () => {
        const away = openThrough(() => ({ status: 503 }));
        await expect(away.append(table, [await staged(1)], commit)).rejects.toMatchObject({
          code: 'BigQueryUnavailable',
          retry: 'later',
          message: expect.stringContaining('HTTP 503'),
        });
        expect(proxy.calls).toHaveLength(7);
        expect(await openThrough(() => 'pass').append(table, [await staged(1)], commit)).toBe(true);
      });

      test.each<[why: string, fate: Fate, expected: object]>([
        [
          'no permission',
          refusal(403, 'accessDenied'),
          { code: 'AccessDenied', retry: 'never', message: expect.stringContaining('roles/bigquery.jobUser') },
        ],
        ['a used-up quota', refusal(403, 'quotaExceeded'), { code: 'QuotaExceeded', retry: 'later' }],
        ['a bad request', refusal(400, 'invalid'), { code: 'BigQueryError', retry: 'never' }],
      ])('is not tried again with %s', async (_, fate, expected) => {
        const refused = openThrough(({ method }) => (method === 'POST' ? fate : 'pass'));
        await expect(refused.append(table, [await staged(1)], commit)).rejects.toMatchObject(expected);
        expect(proxy.calls.filter(({ method }) => method === 'POST')).toHaveLength(1);
      });

      test('killed after BigQuery got it, made again by another process, lands once', async () => {
        const uris = [await staged(1, 2)];
        proxy.decide = ({ method, path }) => (method === 'GET' && path.includes('/jobs/') ? { slow: 60_000 } : 'pass');
        const killed = orderOf(uris, proxy.url);
        await eventually(async () => expect(proxy.calls.at(-1)?.path).toContain('/jobs/'), 30_000);
        await killed.kill();
        const again = await orderOf(uris).waitForLine(/^landed/);
        expect(again).toBe('landed: false');
        expect(await idsInTable()).toEqual([1, 2]);
      });

      test('whose jobs fail for passing reasons lands under the next id, the same for all', async () => {
        const first = jobId('load', [table.dataset, table.name, commit.id]);
        const failing = [first, `${first}_2`];
        const uris = [await staged(1, 2)];
        // The proxy has the failed jobs, of which the emulator never hears: it can't fail so.
        const inserted = new Set<string>();
        const decide = (refused: string[], reason: string): DecideFate => {
          let posts = 0;
          return ({ method, path }) => {
            if (method === 'POST') {
              const name = refused[posts++];
              if (name === undefined) return 'pass';
              const isNew = !inserted.has(name);
              inserted.add(name);
              return isNew ? json({}) : refusal(409, 'duplicate');
            }
            return refused.some((name) => path.includes(`/jobs/${name}?`))
              ? json({ status: { state: 'DONE', errorResult: { reason, message: 'try again' } } })
              : 'pass';
          };
        };
        expect(await openThrough(decide(failing, 'backendError')).append(table, uris, commit)).toBe(true);
        expect(await openThrough(decide(failing, 'backendError')).append(table, uris, commit)).toBe(false);
        expect(await idsInTable()).toEqual([1, 2]);
        const [jobs] = await cloud.bigQuery.getJobs({ maxResults: 1_000 });
        expect(jobs.map(({ id: name }) => name).filter((name) => name?.startsWith(first))).toEqual([`${first}_3`]);
      });

      test('whose job exceeds a quota says so, and has another job when it is made later', async () => {
        const exceeded = json({
          status: { state: 'DONE', errorResult: { reason: 'quotaExceeded', message: 'enough' } },
        });
        const first = jobId('load', [table.dataset, table.name, commit.id]);
        const uris = [await staged(1)];
        const refused = openThrough(({ method, path }) => {
          if (method === 'POST') return json({});
          return path.includes(`/jobs/${first}?`) ? exceeded : 'pass';
        });
        await expect(refused.append(table, uris, commit)).rejects.toMatchObject({
          code: 'QuotaExceeded',
          retry: 'later',
          message: expect.stringContaining(`(job ${first}): quotaExceeded: enough`),
        });
        let posts = 0;
        const later = openThrough(({ method, path }) => {
          if (method === 'POST') return posts++ === 0 ? refusal(409, 'duplicate') : 'pass';
          return path.includes(`/jobs/${first}?`) ? exceeded : 'pass';
        });
        expect(await later.append(table, uris, commit)).toBe(true);
        expect(await idsInTable()).toEqual([1]);
      });

      test('whose job does not end is waited for no longer than it may, and found when it is made again', async () => {
        const uris = [await staged(1)];
        const running = json({ status: { state: 'RUNNING' } });
        const slow = openThrough(({ path }) => (path.includes('/jobs/') ? running : 'pass'), { jobTimeout: 50 });
        await expect(slow.append(table, uris, commit)).rejects.toMatchObject({
          code: 'BigQueryUnavailable',
          retry: 'later',
          message: expect.stringContaining('has not ended'),
        });
        expect(await openThrough(() => 'pass').append(table, uris, commit)).toBe(false);
        expect(await idsInTable()).toEqual([1]);
      });

      test('is known after the service was killed and came back', async () => {
        const uris = [await staged(1)];
        await warehouse.append(table, uris, commit);
        await cloud.emulators?.bigQuery.restart();
        expect(await warehouse.append(table, uris, commit)).toBe(false);
        expect(await idsInTable()).toEqual([1]);
      });
    });
  });
});

/** An answer of BigQuery's. */
function json(body: object, status = 200): Fate {
  return { status, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

function refusal(status: number, reason: string): Fate {
  const message = `refused: ${reason}`;
  return json({ error: { code: status, message, errors: [{ reason, message, domain: 'global' }] } }, status);
}
