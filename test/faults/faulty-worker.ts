// A queue-worker that, at the step that TEST_FAULT names, kills its own process as SIGKILL does; or, when TEST_FAILURES is
// given, fails that many times with an error of the disk, and then no more.
import { readSettings, startQueueWorker } from '@riskmodel/queue-worker/queue-worker.ts';
import type { WorkerDeps } from '@riskmodel/queue-worker/processors.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import type { Warehouse } from '@riskmodel/core/warehouse/warehouse.ts';

export const faults = [
  'planning, before the plan is on record',
  'planning, before the chunks are queued',
  'planning, after the chunks are queued',
  'scoring, before a chunk is staged',
  'scoring, after a chunk is staged',
  'between staging and commit',
  'between the commit and its acknowledgement',
] as const;
/** Steps of batches that are looked up, or written to files, beside the tables. */
export const outputFaults = [
  'loading features, after the first few',
  'writing files, before the first of the results',
  'writing files, after the first of the results',
  'writing files, before the mark',
  'writing files, after the mark',
  'keeping predictions, after the first few',
  'keeping predictions, before the batch is done',
] as const;
export type Fault = (typeof faults)[number] | (typeof outputFaults)[number];

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal is delivered before the next instruction of this process.
  throw new Error('unreachable');
}

/** The worker's parts, of which the one that comes to the step dies there, or fails so many times. */
export function withFault(deps: WorkerDeps, fault: Fault, failures?: number): WorkerDeps {
  let left = failures ?? 0;
  const at = (step: Fault): void => {
    if (step !== fault) return;
    if (failures === undefined) die();
    if (left-- > 0) throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' });
  };
  const store: ObjectStore = wrap(deps.store, {
    putFileIfAbsent: async (uri, path) => {
      const isResults = uri.includes('/results-');
      if (isResults) at('writing files, before the first of the results');
      else if (uri.endsWith('/_SUCCESS')) at('writing files, before the mark');
      else at('scoring, before a chunk is staged');
      const put = await deps.store.putFileIfAbsent(uri, path);
      if (isResults) at('writing files, after the first of the results');
      if (uri.endsWith('/_SUCCESS')) at('writing files, after the mark');
      at('scoring, after a chunk is staged');
      return put;
    },
  });
  const warehouse: Warehouse = wrap(deps.warehouse, {
    prepare: async (table, objects) => {
      at('planning, before the plan is on record');
      await deps.warehouse.prepare(table, objects);
    },
    append: async (table, uris, commit) => {
      const isResults = table.name === 'risk_model_results';
      if (isResults) at('between staging and commit');
      const appended = await deps.warehouse.append(table, uris, commit);
      if (isResults) at('between the commit and its acknowledgement');
      return appended;
    },
  });
  let groups = 0;
  const predictions = wrap(deps.predictions, {
    write: async (model, source, ttl, group) => {
      if (groups++ > 0) at('keeping predictions, after the first few');
      await deps.predictions.write(model, source, ttl, group);
    },
  });
  const openFeatures: WorkerDeps['openFeatures'] = (manifest) => {
    const table = deps.openFeatures(manifest);
    return (
      table && {
        write: async (group) => {
          if (groups++ > 0) at('loading features, after the first few');
          await table.write(group);
        },
      }
    );
  };
  const batches = wrap(deps.batches, {
    transition: async (id, from, to, update) => {
      if (to === 'done') at('keeping predictions, before the batch is done');
      return deps.batches.transition(id, from, to, update);
    },
  });
  const flows = wrap(deps.flows, {
    add: async (flow, options) => {
      at('planning, before the chunks are queued');
      const added = await deps.flows.add(flow, options);
      at('planning, after the chunks are queued');
      return added;
    },
  });
  return { ...deps, store, warehouse, predictions, openFeatures, batches, flows };
}

/** The same object with some of its methods replaced; the others keep their own `this`. */
function wrap<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

const fault = process.env['TEST_FAULT'];
const failures = process.env['TEST_FAILURES'];
if (fault !== undefined) {
  await startQueueWorker(readSettings(process.env), (deps) =>
    withFault(deps, fault as Fault, failures === undefined ? undefined : Number(failures)),
  );
}
