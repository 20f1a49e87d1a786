// A program that makes one commit to BigQuery, told by COMMIT (JSON): another process for tests to race and to kill.
import { BigQueryWarehouse } from '@riskmodel/core/warehouse/bigquery.ts';
import type { Commit, Table } from '@riskmodel/core/warehouse/warehouse.ts';

export interface CommitOrder {
  options: { project: string; endpoint?: string };
  table: Table;
  uris: string[];
  commit: Commit;
}

const { options, table, uris, commit } = JSON.parse(process.env['COMMIT'] ?? '') as CommitOrder;
const landed = await new BigQueryWarehouse(options).append(table, uris, commit);
console.log(`landed: ${landed}`);
