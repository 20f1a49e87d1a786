import { RiskModelError } from '../errors.ts';
import { addedColumns, type ExistingColumn } from './added-columns.ts';
import { BigQueryApi, refusalOf, type BigQueryOptions, type Purpose } from './bigquery-api.ts';
import { jobId, labels, runOnce } from './bigquery-job.ts';
import { BigQueryScoring, type BytesBilledListener } from './bigquery-scoring.ts';
import { sqlTypeOf, type FieldResource } from './bigquery-types.ts';
import type { Column, Commit, Table, Warehouse } from './warehouse.ts';

/** Objects that one load job takes. https://cloud.google.com/bigquery/quotas#load_jobs */
const mostObjects = 10_000;

export interface BigQueryWarehouseOptions extends BigQueryOptions {
  /** Bytes that one query may bill at most. Loads cost nothing. */
  maximumBytesBilled?: number;
  onBytesBilled?: BytesBilledListener | undefined;
}

/** `Table` of BigQuery's REST API, as far as it is looked at. */
interface TableResource {
  type?: string;
  etag?: string;
  schema?: { fields?: FieldResource[] };
}

/**
 * BigQuery. A commit is one load job of the staged Parquet objects, which BigQuery does all or none of, under an id
 * that the commit decides: made again, it is found to be there.
 *
 * Datasets are the administrator's, who decides where they are and who may read them: they are never made here.
 */
export class BigQueryWarehouse implements Warehouse {
  readonly tableScoring: BigQueryScoring;
  readonly #api: BigQueryApi;
  readonly #location: string | undefined;
  readonly #jobTimeout: number;
  /** Where datasets are, which never changes. */
  readonly #locations = new Map<string, string>();

  constructor(options: BigQueryWarehouseOptions = {}) {
    this.#api = new BigQueryApi(options);
    this.#location = options.location;
    this.#jobTimeout = options.jobTimeout ?? 3_600_000;
    this.tableScoring = new BigQueryScoring(this.#api, {
      maximumBytesBilled: options.maximumBytesBilled,
      jobTimeout: this.#jobTimeout,
      locationOf: (dataset) => this.#locationOf(dataset),
      onBytesBilled: options.onBytesBilled,
    });
  }

  /** `project.dataset.table`; without the project as long as it has to be found and was not needed yet. */
  locate({ dataset, name }: Pick<Table, 'dataset' | 'name'>): string {
    return [this.#api.knownProject, dataset, name].filter((part) => part !== undefined).join('.');
  }

  async prepare(table: Table, objects = 1): Promise<void> {
    refuseTooManyObjects(table, objects);
    checkNames(table);
    await this.#locationOf(table.dataset);
    for (;;) {
      const found = await this.#find(table);
      if (found === undefined) {
        if (await this.#create(table)) return;
        continue;
      }
      const added = addedColumns(table, existingColumns(table, found));
      if (added.length === 0 || (await this.#addColumns(table, found, added))) return;
    }
  }

  async append(table: Table, stagedUris: string[], commit: Commit): Promise<boolean> {
    if (stagedUris.length === 0) throw new RangeError('there are no Parquet files to append');
    refuseTooManyObjects(table, stagedUris.length);
    const location = await this.#locationOf(table.dataset);
    const configuration = {
      labels: labels({ model: commit.model, batch: commit.id }),
      load: {
        sourceUris: stagedUris,
        sourceFormat: 'PARQUET',
        // With it BigQuery need not guess: a DATETIME and a TIMESTAMP are told apart by a detail of the file.
        schema: schemaOf(table.columns),
        destinationTable: await this.#reference(table),
        createDisposition: 'CREATE_NEVER',
        writeDisposition: 'WRITE_APPEND',
      },
    };
    const id = jobId('load', [table.dataset, table.name, commit.id]);
    const purpose: Purpose = {
      action: `loading ${stagedUris.length} objects into ${this.locate(table)}`,
      needed: `roles/bigquery.jobUser on the project, roles/bigquery.dataEditor on dataset ${table.dataset} and roles/storage.objectViewer on the staging bucket`,
    };
    return runOnce(this.#api, { id, location, configuration, purpose }, this.#jobTimeout);
  }

  async #locationOf(dataset: string): Promise<string> {
    const known = this.#locations.get(dataset);
    if (known !== undefined) return known;
    const project = await this.#api.findProject();
    try {
      const { location } = await this.#api.call<{ location?: string }>(
        { method: 'GET', uri: `/datasets/${dataset}` },
        { action: `reading dataset ${project}.${dataset}`, needed: dataEditor(dataset) },
        [404],
      );
      const found = this.#location ?? location ?? 'US';
      this.#locations.set(dataset, found);
      return found;
    } catch (error) {
      refusalOf(error);
      throw new RiskModelError(
        'DatasetNotFound',
        `dataset ${project}.${dataset} does not exist: make it with "bq mk --dataset --location=LOCATION ${project}:${dataset}", where the staging bucket is, and give the workers' account ${dataEditor(dataset)}; or name another one (spec.batch.output.dataset)`,
      );
    }
  }

  async #find(table: Table): Promise<TableResource | undefined> {
    try {
      return await this.#api.call<TableResource>(
        { method: 'GET', uri: this.#uri(table) },
        { action: `reading table ${this.locate(table)}`, needed: dataEditor(table.dataset) },
        [404],
      );
    } catch (error) {
      refusalOf(error);
      return undefined;
    }
  }

  /** Whether it did; another one may have been faster. */
  async #create(table: Table): Promise<boolean> {
    const { layout } = table;
    const json = {
      tableReference: await this.#reference(table),
      schema: schemaOf(table.columns),
      ...(layout && {
        timePartitioning: { type: 'DAY', field: layout.partitionByDayOf },
        clustering: { fields: layout.clusterBy },
      }),
    };
    try {
      await this.#api.call(
        { method: 'POST', uri: `/datasets/${table.dataset}/tables`, json },
        { action: `making table ${this.locate(table)}`, needed: dataEditor(table.dataset) },
        [409],
      );
      return true;
    } catch (error) {
      refusalOf(error);
      return false;
    }
  }

  /** Whether it did; another one may have changed the table in between, which is then to be read again. */
  async #addColumns(table: Table, found: TableResource, added: readonly Column[]): Promise<boolean> {
    const fields = [...(found.schema?.fields ?? []), ...added.map(fieldOf)];
    try {
      await this.#api.call(
        {
          method: 'PATCH',
          uri: this.#uri(table),
          headers: { 'If-Match': found.etag ?? '*' },
          json: { schema: { fields } },
        },
        { action: `adding columns to table ${this.locate(table)}`, needed: dataEditor(table.dataset) },
        [412],
      );
      return true;
    } catch (error) {
      refusalOf(error);
      return false;
    }
  }

  #uri({ dataset, name }: Table): string {
    return `/datasets/${dataset}/tables/${name}`;
  }

  async #reference({ dataset, name }: Table): Promise<object> {
    return { projectId: await this.#api.findProject(), datasetId: dataset, tableId: name };
  }
}

function dataEditor(dataset: string): string {
  return `roles/bigquery.dataEditor on dataset ${dataset}`;
}

function schemaOf(columns: readonly Column[]): { fields: FieldResource[] } {
  return { fields: columns.map(fieldOf) };
}

/** Parquet's columns may all have NULLs, whether they do or not. */
function fieldOf({ name, type }: Column): FieldResource {
  return { name, type, mode: 'NULLABLE' };
}

/** The columns of a table that is there. Throws `TableTypeConflict` when it takes no rows of ours. */
function existingColumns(table: Table, { type = 'TABLE', schema }: TableResource): ExistingColumn[] {
  const name = `${table.dataset}.${table.name}`;
  if (type !== 'TABLE') {
    throw new RiskModelError(
      'TableTypeConflict',
      `${name} is a ${type.toLowerCase()}, to which nothing can be appended`,
    );
  }
  return (schema?.fields ?? []).map((field) => {
    if (field.mode === 'REQUIRED') {
      throw new RiskModelError(
        'TableTypeConflict',
        `column ${field.name} of ${name} is REQUIRED, and what is appended may lack it: relax it with "ALTER TABLE \`${name}\` ALTER COLUMN \`${field.name}\` DROP NOT NULL"`,
      );
    }
    return { name: field.name, type: sqlTypeOf(field) };
  });
}

/** BigQuery's own prefixes. https://cloud.google.com/bigquery/docs/schemas#column_names */
const reservedPrefix = /^(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_)/i;

function checkNames(table: Table): void {
  for (const { name } of table.columns) {
    if (/^[A-Za-z_]\w{0,299}$/.test(name) && !reservedPrefix.test(name)) continue;
    throw new RiskModelError(
      'UnsupportedColumnName',
      `column "${name.slice(0, 300)}" can't be a column of BigQuery, whose names consist of letters, digits and underscores, start with no digit and not with a prefix of BigQuery's own (_TABLE_, _FILE_, _PARTITION ...): rename the input's column`,
    );
  }
}

function refuseTooManyObjects(table: Table, objects: number): void {
  if (objects <= mostObjects) return;
  throw new RiskModelError(
    'TooManyChunks',
    `${objects} chunks would go to ${table.dataset}.${table.name}, and BigQuery loads no more than ${mostObjects} at once: raise spec.batch.chunkRows, or split the input`,
  );
}
