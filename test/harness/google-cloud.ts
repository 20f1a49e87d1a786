import { randomUUID } from 'node:crypto';
import { BigQuery } from '@google-cloud/bigquery';
import type { Storage } from '@google-cloud/storage';
import { BigQueryEmulator, whyNoBigQuery } from './bigquery-emulator.ts';
import { CloudStorage, storageClient } from './cloud-storage.ts';
import { printFigure } from './figures.ts';

const { GCP_TEST_PROJECT, GCP_TEST_BUCKET, GCP_TEST_DATASET } = process.env;

/** Whether the tests run against a real project, with the caller's own credentials. */
export const isRealProject = GCP_TEST_PROJECT !== undefined;

/** Why the tests of Google Cloud can't be run here, in one line that was also printed; undefined when they can. */
export async function whyNoGoogleCloud(): Promise<string | undefined> {
  const reason = await (isRealProject ? whyNoRealProject() : whyNoBigQuery());
  if (reason !== undefined) printFigure(`skipped: ${reason}`);
  return reason;
}

function whyNoRealProject(): string | undefined {
  if (GCP_TEST_BUCKET !== undefined && GCP_TEST_DATASET !== undefined) return undefined;
  return 'GCP_TEST_PROJECT is set, and GCP_TEST_BUCKET and GCP_TEST_DATASET are not: name a bucket and a dataset in one location';
}

/**
 * What tests of Google Cloud run against: the emulators, or, when `GCP_TEST_PROJECT` is set, the bucket and the dataset
 * of a real project. There, what a test wrote to the bucket is removed at its end, and rows stay.
 */
export class GoogleCloud {
  readonly project: string;
  readonly dataset: string;
  /** A folder of a bucket that is this run's own, `gs://BUCKET/FOLDER`. */
  readonly folderUri: string;
  readonly bigQuery: BigQuery;
  readonly storage: Storage;
  /** The emulators; undefined in a real project. */
  readonly emulators: { storage: CloudStorage; bigQuery: BigQueryEmulator } | undefined;

  private constructor(
    names: { project: string; dataset: string; bucket: string },
    emulators: GoogleCloud['emulators'],
  ) {
    this.project = names.project;
    this.dataset = names.dataset;
    this.folderUri = `gs://${names.bucket}/test-${randomUUID()}`;
    this.emulators = emulators;
    const projectId = names.project;
    this.bigQuery = emulators?.bigQuery.client ?? new BigQuery({ projectId });
    this.storage = storageClient({ projectId, ...(emulators && { apiEndpoint: emulators.storage.url }) });
  }

  static async start(): Promise<GoogleCloud> {
    if (isRealProject) {
      const names = { project: GCP_TEST_PROJECT, dataset: GCP_TEST_DATASET, bucket: GCP_TEST_BUCKET };
      return new GoogleCloud(names as { project: string; dataset: string; bucket: string }, undefined);
    }
    const storage = await CloudStorage.start();
    const bigQuery = await BigQueryEmulator.start(storage.url);
    const names = { project: bigQuery.project, dataset: 'riskmodel', bucket: 'riskmodel-test' };
    await Promise.all([storage.createBucket(names.bucket), bigQuery.createDataset(names.dataset)]);
    return new GoogleCloud(names, { storage, bigQuery });
  }

  /** Where the programs find it: options of the warehouse, and environment variables of server and queue-worker. */
  get endpoint(): { endpoint?: string } {
    return this.emulators === undefined ? {} : { endpoint: this.emulators.bigQuery.url };
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      RISKMODEL_BACKEND: 'gcp',
      RISKMODEL_STAGING: `${this.folderUri}/staging`,
      GOOGLE_CLOUD_PROJECT: this.project,
      ...(this.emulators && {
        RISKMODEL_STORAGE_ENDPOINT: this.emulators.storage.url,
        RISKMODEL_BIGQUERY_ENDPOINT: this.emulators.bigQuery.url,
      }),
    };
  }

  /** Puts a local file into the run's folder. Returns its URI. */
  async upload(name: string, file: string): Promise<string> {
    const uri = `${this.folderUri}/${name}`;
    const { bucket, path } = partsOf(uri);
    await this.storage.bucket(bucket).upload(file, { destination: path });
    return uri;
  }

  /** Puts a text into the run's folder. Returns its URI. */
  async put(name: string, text: string): Promise<string> {
    const uri = `${this.folderUri}/${name}`;
    const { bucket, path } = partsOf(uri);
    await this.storage.bucket(bucket).file(path).save(text);
    return uri;
  }

  /** The URIs under a prefix. */
  async list(prefix: string): Promise<string[]> {
    const { bucket, path } = partsOf(prefix);
    const [files] = await this.storage.bucket(bucket).getFiles({ prefix: path });
    return files.map(({ name }) => `gs://${bucket}/${name}`);
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    const [rows] = await this.bigQuery.query({ query: sql, defaultDataset: { datasetId: this.dataset } });
    return rows as Record<string, unknown>[];
  }

  async stop(): Promise<void> {
    if (this.emulators === undefined) {
      const { bucket, path } = partsOf(`${this.folderUri}/`);
      await this.storage.bucket(bucket).deleteFiles({ prefix: path });
    }
    await this.emulators?.bigQuery.stop();
    await this.emulators?.storage.stop();
  }
}

function partsOf(uri: string): { bucket: string; path: string } {
  const [bucket = '', ...path] = uri.replace('gs://', '').split('/');
  return { bucket, path: path.join('/') };
}
