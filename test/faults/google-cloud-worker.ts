// A queue-worker on Google Cloud that makes its calls again as often as the product does, and waits less in between, so
// that hundreds of batches with faults take minutes. At the step that TEST_KILL_AT names it kills its own process.
import { setTimeout as sleep } from 'node:timers/promises';
import { SessionThread } from '@riskmodel/core/model/session-thread.ts';
import { GcsStore } from '@riskmodel/core/storage/gcs.ts';
import { defaultRetry } from '@riskmodel/core/storage/retry.ts';
import { BigQueryWarehouse } from '@riskmodel/core/warehouse/bigquery.ts';
import { ModelCache } from '@riskmodel/queue-worker/model-cache.ts';
import { readSettings, startQueueWorker } from '@riskmodel/queue-worker/queue-worker.ts';
import { withFault, type Fault } from './faulty-worker.ts';
import { withShortPauses } from './google-cloud-pauses.ts';

const longestPause = 40;
const settings = readSettings(process.env);
const { backend } = settings;
if (backend.kind !== 'gcp') throw new Error('this worker is for Google Cloud');
const killAt = process.env['TEST_KILL_AT'];

await startQueueWorker(settings, (deps) => {
  const store = new GcsStore({
    project: backend.project,
    endpoint: backend.storageEndpoint,
    tempDir: deps.tempDir,
    retry: { ...defaultRetry, firstPause: 5, longestPause },
  });
  const warehouse = new BigQueryWarehouse({
    project: backend.project as string,
    endpoint: backend.bigQueryEndpoint as string,
    clock: {
      now: () => performance.now(),
      sleep: (milliseconds) => sleep(Math.min(milliseconds / 10, longestPause)),
      random: () => Math.random(),
    },
  });
  const { flows } = deps;
  const add: typeof flows.add = (flow, options) =>
    flows.constructor.prototype.add.call(flows, withShortPauses(flow), options);
  flows.add = add;
  const quick = { ...deps, store, warehouse, models: new ModelCache(store, new SessionThread().open) };
  return killAt === undefined ? quick : withFault(quick, killAt as Fault);
});
