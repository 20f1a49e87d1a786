import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { textTable } from './text-table.ts';

const count = new Intl.NumberFormat('en');

export function formatCount(value: number): string {
  return count.format(value);
}

/** Such as `1 row` or `2,000 rows`. */
export function formatRows(value: number): string {
  return `${formatCount(value)} ${value === 1 ? 'row' : 'rows'}`;
}

/** Seconds from a batch's start to its end, or to now while it runs; undefined before it starts. */
export function batchSeconds({ startedAt, finishedAt }: Batch, now: Date): number | undefined {
  if (startedAt === null) return undefined;
  return Math.max(0, (finishedAt === null ? now.getTime() : Date.parse(finishedAt)) - Date.parse(startedAt)) / 1_000;
}

/** What there is to say about one batch, as lines for people. */
export function batchLines(batch: Batch, now: Date): string[] {
  const { rows, state, output, metrics, error } = batch;
  const seconds = batchSeconds(batch, now);
  const speed =
    seconds === undefined || seconds === 0 ? '' : ` (${formatCount(Math.round(rows.done / seconds))} rows/s)`;
  // Results are written all together at the end.
  const isForNothing = state === 'failed' || state === 'cancelled';
  const facts: [string, string | undefined][] = [
    ['batch', batch.id],
    ['model', batch.model],
    ['action', batch.action],
    ['input', batch.input],
    ['state', state],
    [
      'rows',
      `${formatCount(rows.done)}${rows.total === null ? '' : ` of ${formatCount(rows.total)}`} ${batch.action === 'LoadFeatures' ? 'loaded' : 'scored'}` +
        (isForNothing ? '; nothing was written to the results' : ''),
    ],
    ['rejected', formatRows(rows.failed)],
    ['time', seconds === undefined ? undefined : `${seconds.toFixed(2)} s${speed}`],
    ['results', output.results ?? undefined],
    ['files', output.files],
    ['metrics', output.metrics ?? undefined],
    ['rejects', output.rejects ?? undefined],
    ['error', error && `${error.code}: ${error.message}`],
  ];
  const known = facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
  const lines = known.map(([name, value]) => `${name.padEnd(10)}${value}`);
  return metrics ? [...lines, '', ...metricsLines(metrics)] : lines;
}

/** The metrics table: class, precision, recall, F1 score and support of each of its rows. */
export function metricsLines(metrics: NonNullable<Batch['metrics']>): string[] {
  return textTable(
    [
      { title: 'class' },
      ...['precision', 'recall', 'F1SCORE', 'support'].map((title) => ({ title, align: 'right' as const })),
    ],
    metrics.map(({ class: name, precision, recall, f1Score, support }) => [
      name,
      ...[precision, recall, f1Score].map((ratio) => ratio.toFixed(4)),
      formatCount(support),
    ]),
  );
}

/** One line for each batch. */
export function batchTable(batches: Batch[], now: Date): string[] {
  return textTable(
    [
      { title: 'ID' },
      { title: 'MODEL' },
      { title: 'STATE' },
      { title: 'ROWS', align: 'right' },
      { title: 'REJECTED', align: 'right' },
      { title: 'SECONDS', align: 'right' },
      { title: 'CREATED' },
      { title: 'INPUT' },
    ],
    batches.map((batch) => [
      batch.id,
      batch.model,
      batch.state,
      batch.rows.total === null || batch.state === 'done'
        ? formatCount(batch.rows.done)
        : `${formatCount(batch.rows.done)}/${formatCount(batch.rows.total)}`,
      formatCount(batch.rows.failed),
      batchSeconds(batch, now)?.toFixed(2) ?? '',
      batch.createdAt.replace(/\.\d+Z$/, 'Z'),
      batch.input,
    ]),
  );
}
