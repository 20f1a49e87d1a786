import type { DuckDBConnection } from '@duckdb/node-api';
import { identifier, literal, type Engine } from '@riskmodel/core/columnar/engine.ts';
import { doubleColumn, isValid } from '@riskmodel/core/columnar/vectors.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { FeatureGroup, FeatureTable } from '@riskmodel/core/lookup/feature-table.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { writeStaged } from '../lookup/write-staged.ts';
import type { BatchPlan } from '../plan.ts';
import { loadedColumns } from './check-features.ts';

/** Opens a model's feature store; undefined when the manifest has none. */
export type OpenFeatureTable = (manifest: RiskModel) => Pick<FeatureTable, 'write'> | undefined;

export interface LoadFeaturesTools {
  store: ObjectStore;
  engine: Engine;
  openFeatures: OpenFeatureTable;
}

/** Records written in one round trip. */
const groupSize = 500;

/**
 * Writes the features that were staged to the model's store, in the records' order: of two records with the same
 * identifier the later one counts, and it comes to the same when it is done again.
 *
 * @param staged the URIs of the staged features, in order
 * @throws RiskModelError `NoFeatureStore`
 */
export async function loadFeatures(
  plan: BatchPlan,
  staged: readonly string[],
  tools: LoadFeaturesTools,
): Promise<void> {
  const table = requireFeatureStore(plan.manifest, tools.openFeatures);
  await writeStaged(
    staged,
    tools,
    (connection, path) => readGroups(connection, path, plan),
    (group) => table.write(group),
  );
}

/** @throws RiskModelError `NoFeatureStore` */
export function requireFeatureStore(manifest: RiskModel, open: OpenFeatureTable): Pick<FeatureTable, 'write'> {
  const table = open(manifest);
  if (table !== undefined) return table;
  throw new RiskModelError(
    'NoFeatureStore',
    `model "${manifest.metadata.name}" has no feature store to load features into: add online.features to its manifest`,
  );
}

async function* readGroups(connection: DuckDBConnection, path: string, plan: BatchPlan): AsyncGenerator<FeatureGroup> {
  const { id, names } = loadedColumns(plan);
  const columns = [id, ...names].map(identifier).join(', ');
  const stream = await connection.stream(`SELECT ${columns} FROM read_parquet(${literal(path)})`);
  for (;;) {
    const data = await stream.fetchChunk();
    if (data === null || data.rowCount === 0) return;
    const all = data.getColumnValues(0) as string[];
    const features = names.map((_, column) => doubleColumn(data, column + 1));
    for (let from = 0; from < all.length; from += groupSize) {
      const ids = all.slice(from, from + groupSize);
      const values = ids.map((_, i) =>
        features.map(({ values: column, valid }) => (isValid(valid, from + i) ? (column[from + i] as number) : null)),
      );
      yield { ids, names, values };
    }
  }
}
