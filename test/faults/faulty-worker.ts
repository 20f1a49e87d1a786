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
export type Fault = (typeof faults)[number];

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal is delivered before the next instruction of this process.
  throw new Error('unreachable');
}

function withFault(deps: WorkerDeps, fault: Fault, failures: number | undefined): WorkerDeps {
  let left = failures ?? 0;
  const at = (step: Fault): void => {
    if (step !== fault) return;
    if (failures === undefined) die();
    if (left-- > 0) throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' });
  };
  const store: ObjectStore = wrap(deps.store, {
    putFileIfAbsent: async (uri, path) => {
      at('scoring, before a chunk is staged');
      const put = await deps.store.putFileIfAbsent(uri, path);
      at('scoring, after a chunk is staged');
      return put;
    },
  });
  const warehouse: Warehouse = wrap(deps.warehouse, {
    prepare: async (table) => {
      at('planning, before the plan is on record');
      await deps.warehouse.prepare(table);
    },
    append: async (table, uris, commitId) => {
      const isResults = table.name === 'risk_model_results';
      if (isResults) at('between staging and commit');
      const appended = await deps.warehouse.append(table, uris, commitId);
      if (isResults) at('between the commit and its acknowledgement');
      return appended;
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
  return { ...deps, store, warehouse, flows };
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
