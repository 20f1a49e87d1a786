import { RiskModelError } from '../errors.ts';

/** The parts of `bq://PROJECT.DATASET.TABLE`; the project may be left out. Throws `InvalidUri` when it is not one. */
export function parseTableUri(uri: string): { project?: string; dataset: string; table: string } {
  const match = /^bq:\/\/(?:([a-z][a-z0-9-]{2,28}[a-z0-9])\.)?(\w{1,1024})\.([\w-]{1,1024})$/.exec(uri);
  const [, project, dataset, table] = match ?? [];
  if (dataset === undefined || table === undefined) {
    throw new RiskModelError('InvalidUri', `not a table's URI: "${uri}"; expected bq://PROJECT.DATASET.TABLE`);
  }
  return { ...(project !== undefined && { project }), dataset, table };
}
