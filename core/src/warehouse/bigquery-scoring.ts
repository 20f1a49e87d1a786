import { RiskModelError } from '../errors.ts';
import { refusalOf, type BigQueryApi, type Purpose } from './bigquery-api.ts';
import { jobId, labels, runOnce } from './bigquery-job.ts';
import { countOutcomesSql, countRowsSql, createModelSql, scoreRowsSql, type WarehouseScoring } from './bigquery-ml.ts';
import { sqlTypeOf, type FieldResource } from './bigquery-types.ts';
import { parseTableUri } from './table-uri.ts';

export interface ScoringSettings {
  /** Bytes that one query may bill at most; absent: what the project allows. */
  maximumBytesBilled?: number | undefined;
  /** Milliseconds that a job is waited for. */
  jobTimeout: number;
  locationOf: (dataset: string) => Promise<string>;
  /** Told what each query of a model's batches is billed for. */
  onBytesBilled?: BytesBilledListener | undefined;
}

/** Takes a model's name, and the bytes that one query for it is billed for. */
export type BytesBilledListener = (model: string, bytes: number) => void;

/** A table to score, as BigQuery describes it. */
export interface SourceTable {
  /** `project.dataset.table` */
  path: string;
  columns: { name: string; type: string }[];
}

interface QueryResponse {
  jobComplete?: boolean;
  jobReference?: { jobId: string };
  schema?: { fields?: { name: string }[] };
  rows?: { f: { v: string | null }[] }[];
  /** Only in the answer to the query itself: who asks for one that took longer is not told. */
  totalBytesBilled?: string;
}

/** The API waits so long for a query before it answers that it goes on; less than a call may take. */
const queryWait = 40_000;

/** Scores tables that should not leave BigQuery, with an ONNX model imported there. */
export class BigQueryScoring {
  readonly #api: BigQueryApi;
  readonly #settings: ScoringSettings;

  constructor(api: BigQueryApi, settings: ScoringSettings) {
    this.#api = api;
    this.#settings = settings;
  }

  /**
   * Looks a table up.
   *
   * @param uri `bq://PROJECT.DATASET.TABLE`, or without the project
   * @throws RiskModelError `InvalidUri`, `NotFound`, `UnsupportedTable` (a view, say), `AccessDenied`
   */
  async describe(uri: string): Promise<SourceTable> {
    const { project = await this.#api.findProject(), dataset, table } = parseTableUri(uri);
    const path = `${project}.${dataset}.${table}`;
    const found = await this.#api
      .call<{ type?: string; schema?: { fields?: FieldResource[] } }>(
        { method: 'GET', uri: this.#api.urlOf(project, `/datasets/${dataset}/tables/${table}`) },
        { action: `reading table ${path}`, needed: `roles/bigquery.dataViewer on dataset ${dataset}` },
        [404],
      )
      .catch((error: unknown) => {
        refusalOf(error);
        throw new RiskModelError('NotFound', `table ${path} does not exist`);
      });
    if (found.type !== undefined && found.type !== 'TABLE') {
      throw new RiskModelError(
        'UnsupportedTable',
        `${path} is a ${found.type.toLowerCase()}, whose rows can't be read as of one moment: write them to a table`,
      );
    }
    const columns = (found.schema?.fields ?? []).map((field) => ({ name: field.name, type: sqlTypeOf(field) }));
    return { path, columns };
  }

  /** Counts the rows of the table, and those of them that fit the schema. */
  async countRows(scoring: WarehouseScoring): Promise<{ total: number; accepted: number }> {
    const [row] = await this.#query(countRowsSql(scoring), scoring, `counting the rows of ${scoring.source}`);
    return { total: Number(row?.['total']), accepted: Number(row?.['accepted']) };
  }

  /** Imports the model and scores the rows that fit, once: whether it was done for this call. */
  async score(scoring: WarehouseScoring, artifactUri: string): Promise<boolean> {
    const { batchId, model, results } = scoring;
    await this.#run(
      'import',
      [model, batchId],
      createModelSql(model, artifactUri),
      scoring,
      `importing ${artifactUri}`,
    );
    return this.#run('score', [results, batchId], scoreRowsSql(scoring), scoring, `scoring ${scoring.source}`);
  }

  /** Counts what was written for the batch, by true and decided class. */
  async countOutcomes(scoring: WarehouseScoring): Promise<{ outcome: number; decision: number; n: number }[]> {
    const rows = await this.#query(countOutcomesSql(scoring), scoring, `counting outcomes in ${scoring.results}`);
    return rows.map(({ outcome, decision, n }) => ({
      outcome: Number(outcome),
      decision: Number(decision),
      n: Number(n),
    }));
  }

  /** Runs a statement that writes, once. */
  async #run(
    kind: string,
    subject: string[],
    query: string,
    scoring: WarehouseScoring,
    action: string,
  ): Promise<boolean> {
    const configuration = { labels: labelsOf(scoring), query: { query, useLegacySql: false, ...this.#limit } };
    const job = {
      id: jobId(kind, subject),
      location: await this.#settings.locationOf(datasetOf(scoring.results)),
      configuration,
      purpose: purposeOf(action),
      onBytesBilled: (bytes: number) => this.#settings.onBytesBilled?.(scoring.manifest.metadata.name, bytes),
    };
    return runOnce(this.#api, job, this.#settings.jobTimeout);
  }

  /** Runs a query that reads. Made again, it is paid again, and changes nothing. */
  async #query(query: string, scoring: WarehouseScoring, action: string): Promise<Record<string, string | null>[]> {
    const location = await this.#settings.locationOf(datasetOf(scoring.results));
    const request = { query, useLegacySql: false, location, timeoutMs: queryWait, labels: labelsOf(scoring) };
    const purpose = purposeOf(action);
    const first = await this.#api.call<QueryResponse>(
      { method: 'POST', uri: '/queries', json: { ...request, ...this.#limit } },
      purpose,
    );
    const deadline = this.#api.clock.now() + this.#settings.jobTimeout;
    let answer = first;
    while (answer.jobComplete !== true) {
      if (this.#api.clock.now() >= deadline) {
        throw new RiskModelError('BigQueryUnavailable', `${action}: the query has not ended`, { retry: 'later' });
      }
      const uri = `/queries/${first.jobReference?.jobId}`;
      const next = { method: 'GET' as const, uri, qs: { location, timeoutMs: String(queryWait) } };
      answer = await this.#api.call<QueryResponse>(next, purpose);
    }
    const bytesBilled = answer.totalBytesBilled ?? (await this.#bytesBilledBy(first.jobReference?.jobId, location));
    this.#settings.onBytesBilled?.(scoring.manifest.metadata.name, Number(bytesBilled));
    const names = (answer.schema?.fields ?? []).map(({ name }) => name);
    return (answer.rows ?? []).map(({ f }) => Object.fromEntries(names.map((name, i) => [name, f[i]?.v ?? null])));
  }

  /** What a query was billed for. A count that can't be had is no reason to do without the answer. */
  async #bytesBilledBy(job: string | undefined, location: string): Promise<string> {
    if (job === undefined) return '0';
    const request = { method: 'GET' as const, uri: `/jobs/${job}`, qs: { location } };
    return this.#api
      .call<{ statistics?: { query?: { totalBytesBilled?: string } } }>(request, purposeOf(`asking for job ${job}`))
      .then(
        ({ statistics }) => statistics?.query?.totalBytesBilled ?? '0',
        () => '0',
      );
  }

  get #limit(): { maximumBytesBilled?: string } {
    const { maximumBytesBilled } = this.#settings;
    return maximumBytesBilled === undefined ? {} : { maximumBytesBilled: String(maximumBytesBilled) };
  }
}

function datasetOf(path: string): string {
  return path.split('.').at(-2) ?? '';
}

function labelsOf({ manifest, batchId }: WarehouseScoring): Record<string, string> {
  return labels({ model: manifest.metadata.name, batch: batchId });
}

function purposeOf(action: string): Purpose {
  return {
    action,
    needed:
      'roles/bigquery.jobUser on the project, roles/bigquery.dataViewer on the dataset of the table, roles/bigquery.dataEditor on that of the results and roles/storage.objectViewer on the staging bucket',
  };
}
