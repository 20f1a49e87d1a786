import type { Batch } from '@riskmodel/core/batches/batch.ts';
import {
  isInside,
  isTriggeredBy,
  readNotification,
  triggerRulesOf,
  uriOf,
  type FinalizedObject,
} from '@riskmodel/core/batches/triggers.ts';
import { mayPass, messageOf } from '@riskmodel/core/errors.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';

/** What becomes of a message: it is done with, to be delivered again, or never of any use. */
export type Verdict = { outcome: 'done' | 'later' } | { outcome: 'poison'; reason: string };

export interface NotificationDeps {
  models: () => readonly RiskModel[];
  /** Starts a model's batch of an object, once however often it is called. */
  start: (model: RiskModel, object: FinalizedObject) => Promise<Batch>;
  /** Where batches are staged; absent where there is no such bucket. */
  stagingUri: string | undefined;
  logger: Logger;
}

/** Starts the batches that buckets' notifications are for. */
export class NotificationHandler {
  readonly #deps: NotificationDeps;

  constructor(deps: NotificationDeps) {
    this.#deps = deps;
  }

  /** @param attributes the Pub/Sub message's; its data is not needed. Never throws. */
  async handle(attributes: Readonly<Record<string, string>>): Promise<Verdict> {
    const { logger } = this.#deps;
    let object: FinalizedObject | undefined;
    try {
      object = readNotification(attributes);
      // What is staged is no input: a trigger that is too wide would start batches for ever.
      if (object === undefined || isInside(this.#deps.stagingUri, object)) return { outcome: 'done' };
      for (const model of this.#modelsFor(object)) {
        const { id } = await this.#deps.start(model, object);
        const { name, namespace } = model.metadata;
        logger.info({ model: name, namespace, batchId: id, input: uriOf(object) }, 'batch started by a notification');
      }
      return { outcome: 'done' };
    } catch (error) {
      const input = object && uriOf(object);
      if (mayPass(error)) {
        logger.warn({ err: error, input }, 'a notification could not be followed yet; it will come again');
        return { outcome: 'later' };
      }
      logger.error({ reason: messageOf(error), input }, 'a notification can not be followed');
      return { outcome: 'poison', reason: messageOf(error) };
    }
  }

  #modelsFor(object: FinalizedObject): RiskModel[] {
    return this.#deps
      .models()
      .filter(
        ({ metadata, spec }) => metadata.deletionTimestamp === undefined && isTriggeredBy(triggerRulesOf(spec), object),
      );
  }
}
