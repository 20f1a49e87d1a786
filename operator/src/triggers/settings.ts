import { RiskModelError } from '@riskmodel/core/errors.ts';

/** Where notifications of buckets come from. */
export interface TriggerSettings {
  /** A Pub/Sub subscription: projects/PROJECT/subscriptions/NAME (`RISKMODEL_TRIGGER_SUBSCRIPTION`). */
  subscription: string;
  /** Where messages go that are no notifications: projects/PROJECT/topics/NAME (`RISKMODEL_TRIGGER_DEAD_LETTER_TOPIC`). */
  deadLetterTopic: string | undefined;
}

/** Undefined when there is no subscription. Throws `InvalidConfig`, naming the variable. */
export function readTriggerSettings(env: NodeJS.ProcessEnv): TriggerSettings | undefined {
  const subscription = env['RISKMODEL_TRIGGER_SUBSCRIPTION'];
  if (!subscription) return undefined;
  const deadLetterTopic = env['RISKMODEL_TRIGGER_DEAD_LETTER_TOPIC'] || undefined;
  assertResource('RISKMODEL_TRIGGER_SUBSCRIPTION', subscription, 'subscriptions');
  if (deadLetterTopic !== undefined) assertResource('RISKMODEL_TRIGGER_DEAD_LETTER_TOPIC', deadLetterTopic, 'topics');
  return { subscription, deadLetterTopic };
}

function assertResource(name: string, value: string, collection: string): void {
  if (new RegExp(`^projects/[^/]+/${collection}/[^/]+$`).test(value)) return;
  throw new RiskModelError('InvalidConfig', `${name}: must be projects/PROJECT/${collection}/NAME`);
}
