import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FolderStore } from '../storage/folder.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { BytesBilledListener } from '../warehouse/bigquery-scoring.ts';
import type { Warehouse } from '../warehouse/warehouse.ts';
import type { BackendSettings } from './settings.ts';

/** Where batches are staged on one machine. */
const localStagingUri = 'gs://riskmodel-staging';

/**
 * Opens the object store. Google's client is loaded only where it is used: it takes a quarter of a second.
 *
 * @param tempDir a folder for the local copies that `openLocal` makes
 */
export async function openStore(settings: BackendSettings, tempDir: string): Promise<ObjectStore> {
  if (settings.kind === 'local') return new FolderStore(join(settings.dataDir, 'buckets'));
  const { GcsStore } = await import('../storage/gcs.ts');
  return new GcsStore({ project: settings.project, endpoint: settings.storageEndpoint, tempDir });
}

/**
 * Opens the warehouse, which takes its rows from staged objects of the store.
 *
 * @param onBytesBilled told what each query is billed for, where queries cost something
 */
export async function openWarehouse(
  settings: BackendSettings,
  store: ObjectStore,
  onBytesBilled?: BytesBilledListener,
): Promise<Warehouse> {
  if (settings.kind === 'local') {
    const { ParquetWarehouse } = await import('../warehouse/parquet.ts');
    const folder = join(settings.dataDir, 'warehouse');
    await mkdir(folder, { recursive: true });
    return new ParquetWarehouse(folder, { store });
  }
  const { BigQueryWarehouse } = await import('../warehouse/bigquery.ts');
  const { bigQueryEndpoint, ...rest } = settings;
  const endpoint = bigQueryEndpoint === undefined ? {} : { endpoint: bigQueryEndpoint };
  return new BigQueryWarehouse({ ...rest, ...endpoint, onBytesBilled });
}

/** `gs://BUCKET` or a folder in one, where batches are staged. */
export function stagingUriOf(settings: BackendSettings): string {
  return settings.kind === 'local' ? localStagingUri : settings.stagingUri;
}
