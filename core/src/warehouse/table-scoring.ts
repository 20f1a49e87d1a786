import type { BigQueryScoring } from './bigquery-scoring.ts';
import type { Warehouse } from './warehouse.ts';

/** A warehouse's own scoring, of tables that should not leave it. */
export type TableScoring = Pick<BigQueryScoring, 'describe' | 'countRows' | 'score' | 'countOutcomes'>;

/** How the warehouse scores tables; undefined when it can't. */
export function tableScoringOf(warehouse: Warehouse): TableScoring | undefined {
  return 'tableScoring' in warehouse ? (warehouse.tableScoring as TableScoring) : undefined;
}
