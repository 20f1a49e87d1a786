import type { DuckDBConnection } from '@duckdb/node-api';
import { identifier, literal, type Engine } from '@riskmodel/core/columnar/engine.ts';
import { doubleColumn } from '@riskmodel/core/columnar/vectors.ts';
import { encodeScore, scoreBytes, type PredictionSource } from '@riskmodel/core/lookup/prediction-entry.ts';
import type { PredictionTable } from '@riskmodel/core/lookup/prediction-table.ts';
import { parseDuration } from '@riskmodel/core/riskmodel/duration.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import type { BatchPlan } from '../plan.ts';
import { writeStaged } from './write-staged.ts';

export interface KeepPredictionsTools {
  store: ObjectStore;
  engine: Engine;
  predictions: Pick<PredictionTable, 'write'>;
}

/** Records written in one step: Redis does nothing else for about two milliseconds. */
const groupSize = 500;

/**
 * Writes the prediction of each record that has an identifier to the look-up table, when the manifest asks for it. They
 * are taken from the staged results, in the records' order, so that it comes to the same when it is done again.
 *
 * @param staged the URIs of the staged results, in order
 * @returns records written; undefined when the manifest has no `batch.lookup`
 */
export async function keepPredictions(
  batchId: string,
  plan: BatchPlan,
  staged: readonly string[],
  tools: KeepPredictionsTools,
): Promise<number | undefined> {
  const { lookup } = plan.manifest.spec.batch;
  const column = plan.columns.find(({ role }) => role === 'identifier');
  if (lookup === undefined || column === undefined) return undefined;
  const { predictions } = tools;
  const { name } = plan.manifest.metadata;
  const source: PredictionSource = { batchId, modelVersion: plan.modelVersion, predDatetime: plan.predDatetime };
  const ttl = parseDuration(lookup.ttl);
  let written = 0;
  await writeStaged(
    staged,
    tools,
    (connection, path) => readGroups(connection, path, column.name),
    (group) => {
      written += group.ids.length;
      return predictions.write(name, source, ttl, group);
    },
  );
  return written;
}

async function* readGroups(
  connection: DuckDBConnection,
  path: string,
  column: string,
): AsyncGenerator<{ ids: string[]; scores: Buffer }> {
  const id = identifier(column);
  const stream = await connection.stream(
    `SELECT ${id}, prob_0, prob_1, CAST(decision AS DOUBLE) FROM read_parquet(${literal(path)}) WHERE ${id} <> ''`,
  );
  for (;;) {
    const data = await stream.fetchChunk();
    if (data === null || data.rowCount === 0) return;
    const all = data.getColumnValues(0) as string[];
    const [zero, one, decisions] = [1, 2, 3].map((number) => doubleColumn(data, number).values);
    for (let from = 0; from < all.length; from += groupSize) {
      const ids = all.slice(from, from + groupSize);
      const scores = Buffer.alloc(ids.length * scoreBytes);
      for (let i = 0; i < ids.length; i++) {
        const row = from + i;
        encodeScore(scores, i, zero?.[row] as number, one?.[row] as number, decisions?.[row] as number);
      }
      yield { ids, scores };
    }
  }
}
