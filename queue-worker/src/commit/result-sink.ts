import { metricsTable, rejectsTable, resultsTable } from '@riskmodel/core/warehouse/tables.ts';
import type { Commit, Table, Warehouse } from '@riskmodel/core/warehouse/warehouse.ts';
import type { BatchPlan } from '../plan.ts';
import { ResultFiles, type ResultFilesTools, type StagedRows } from './result-files.ts';

export type ResultKind = 'results' | 'metrics' | 'rejects';

/** Where a batch's rows go. Each call may be made again after a crash, and comes to the same. */
export interface ResultSink {
  /** The folder with the result files, where there is one. */
  readonly folder: string | undefined;
  /**
   * Writes the results as files, where they are wanted. Before the tables: without their mark they don't count yet, and
   * a bucket that can't be written to is found out while nothing is in the warehouse.
   */
  writeFiles(staged: readonly StagedRows[]): Promise<void>;
  /** Writes staged rows, in their order; one object at least. Results that are files only were written by `writeFiles`. */
  write(kind: ResultKind, staged: readonly StagedRows[]): Promise<void>;
  /** Comes when all is written. */
  complete(rows: { done: number; failed: number }): Promise<void>;
  /** Where people find the rows. */
  locate(kind: ResultKind): string;
}

/** Opens what `spec.batch.output` says: tables, files, or both. */
export function openSink(
  batchId: string,
  plan: BatchPlan,
  tools: ResultFilesTools & { warehouse: Warehouse },
): ResultSink {
  const { dataset, tables, uri } = plan.manifest.spec.batch.output;
  const byKind: Record<ResultKind, Table> = {
    results: resultsTable(dataset, plan.columns),
    metrics: metricsTable(dataset),
    rejects: rejectsTable(dataset),
  };
  const files = uri === undefined ? undefined : new ResultFiles(uri, batchId, plan, tools);
  const commit: Commit = { id: batchId, model: plan.manifest.metadata.name };
  const { warehouse } = tools;
  return {
    folder: files?.folder,
    writeFiles: async (staged) => files?.write('results', byKind.results.columns, staged),
    write: async (kind, staged) => {
      if (tables) {
        const uris = staged.map((object) => object.uri);
        await warehouse.append(byKind[kind], uris, commit);
      } else if (kind !== 'results') {
        await files?.write(kind, byKind[kind].columns, staged);
      }
    },
    complete: async (rows) => files?.complete(rows),
    locate: (kind) => (tables || files === undefined ? warehouse.locate(byKind[kind]) : files.locate(kind)),
  };
}
