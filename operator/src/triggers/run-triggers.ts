import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { startTriggeredBatch } from '@riskmodel/core/batches/triggers.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import { withQueue } from '../riskmodel/redis-access.ts';
import { redisPrefix, type WorkloadSettings } from '../riskmodel/settings.ts';
import { NotificationHandler } from './notification-handler.ts';
import type { TriggerSettings } from './settings.ts';
import { Subscriber } from './subscriber.ts';

const pollMs = 200;

export interface TriggerDeps {
  redis: Redis;
  workloads: WorkloadSettings;
  /** The models of the cluster; undefined while they are not all known. */
  models: () => readonly RiskModel[] | undefined;
  logger: Logger;
  now: () => Date;
}

/**
 * Starts batches by buckets' notifications until the signal is aborted. Every replica does, whether it leads or not: a
 * message goes to one of them, and a message that comes twice starts nothing twice.
 */
export async function runTriggers(
  settings: TriggerSettings,
  { redis, workloads, models, logger, now }: TriggerDeps,
  signal: AbortSignal,
): Promise<void> {
  // A message that is taken before all models are known would be done with too early.
  while (models() === undefined) {
    if (signal.aborted) return;
    await sleep(pollMs, undefined, { signal }).catch(() => {});
  }
  const { PubSub } = await import('@google-cloud/pubsub');
  const handler = new NotificationHandler({
    models: () => models() ?? [],
    start: ({ metadata }, object) => {
      const prefix = redisPrefix(workloads, metadata.namespace ?? 'default');
      const store = new BatchStore(redis, prefix);
      return withQueue(redis, { model: metadata.name, prefix }, (queue) =>
        startTriggeredBatch(metadata.name, object, { store, queue, now }),
      );
    },
    stagingUri: workloads.backend.kind === 'gcp' ? workloads.backend.stagingUri : undefined,
    logger,
  });
  const [, projectId = ''] = settings.subscription.split('/');
  const pubsub = new PubSub({ projectId });
  await new Subscriber(settings, { pubsub, handle: (attributes) => handler.handle(attributes), logger }).run(signal);
}
