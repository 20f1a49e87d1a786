import type { FlowJob } from 'bullmq';
import { jobOptions } from '@riskmodel/core/batches/queue.ts';

/** The product's options of a job, with a short pause before it is tried again. */
export const quickJobOptions = { ...jobOptions, backoff: { type: 'fixed', delay: 50 } };

/** The same jobs, with short pauses. */
export function withShortPauses(flow: FlowJob): FlowJob {
  const { backoff } = quickJobOptions;
  return {
    ...flow,
    opts: { ...flow.opts, backoff },
    children: flow.children?.map((child) => ({ ...child, opts: { ...child.opts, backoff } })) ?? [],
  };
}
