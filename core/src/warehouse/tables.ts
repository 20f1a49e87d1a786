import type { Column, Table } from './warehouse.ts';

/** The time of prediction is what queries narrow down first, then whose rows they are. Every table has these columns. */
const layout = { partitionByDayOf: 'pred_datetime', clusterBy: ['model', 'batch_id'] };

/** Columns that every result row has after those of the input. Their names are taken: no input column may have them. */
export const resultColumns: readonly Column[] = [
  { name: 'prob_0', type: 'FLOAT64' },
  { name: 'prob_1', type: 'FLOAT64' },
  { name: 'pred_datetime', type: 'TIMESTAMP' },
  { name: 'decision', type: 'INT64' },
  { name: 'record_index', type: 'INT64' },
  { name: 'batch_id', type: 'STRING' },
  { name: 'model', type: 'STRING' },
  { name: 'model_version', type: 'STRING' },
  { name: 'model_sha256', type: 'STRING' },
];

/** One row a scored record: the input's columns, then `resultColumns`. */
export function resultsTable(dataset: string, inputColumns: readonly Column[]): Table {
  return { dataset, name: 'risk_model_results', columns: [...inputColumns, ...resultColumns], layout };
}

/** Five rows a batch that has outcomes: scikit-learn's classification report. */
export function metricsTable(dataset: string): Table {
  return {
    dataset,
    name: 'risk_model_metrics',
    layout,
    columns: [
      { name: 'class', type: 'STRING' },
      { name: 'precision', type: 'FLOAT64' },
      { name: 'recall', type: 'FLOAT64' },
      { name: 'F1SCORE', type: 'FLOAT64' },
      { name: 'support', type: 'INT64' },
      { name: 'pred_datetime', type: 'TIMESTAMP' },
      { name: 'batch_id', type: 'STRING' },
      { name: 'model', type: 'STRING' },
      { name: 'model_version', type: 'STRING' },
      { name: 'threshold', type: 'FLOAT64' },
    ],
  };
}

/** One row a record that was not scored, with every reason. */
export function rejectsTable(dataset: string): Table {
  return {
    dataset,
    name: 'risk_model_rejects',
    layout,
    columns: [
      { name: 'record_index', type: 'INT64' },
      { name: 'reason', type: 'STRING' },
      { name: 'pred_datetime', type: 'TIMESTAMP' },
      { name: 'batch_id', type: 'STRING' },
      { name: 'model', type: 'STRING' },
      { name: 'model_version', type: 'STRING' },
      { name: 'model_sha256', type: 'STRING' },
    ],
  };
}
