import type { DuckDBConnection } from '@duckdb/node-api';
import type { Engine } from '@riskmodel/core/columnar/engine.ts';
import { openCurrent, type ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { InFlight } from './in-flight.ts';

/**
 * Writes what staged Parquet objects hold to Redis, group by group and in the objects' order, with a few writes under way
 * at once.
 *
 * @param staged the URIs of the objects, in order
 * @param read the groups of one object, of which there is a local copy
 */
export async function writeStaged<Group>(
  staged: readonly string[],
  { store, engine }: { store: ObjectStore; engine: Engine },
  read: (connection: DuckDBConnection, path: string) => AsyncIterable<Group>,
  write: (group: Group) => Promise<unknown>,
): Promise<void> {
  const writes = new InFlight();
  for (const uri of staged) {
    const local = await openCurrent(uri, store);
    try {
      await engine.use(async (connection) => {
        for await (const group of read(connection, local.path)) await writes.add(write(group));
      });
    } finally {
      await local.release();
    }
  }
  await writes.end();
}
