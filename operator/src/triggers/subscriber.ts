import { setTimeout as sleep } from 'node:timers/promises';
import type { Message, PubSub, Subscription } from '@google-cloud/pubsub';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { Verdict } from './notification-handler.ts';
import type { TriggerSettings } from './settings.ts';

/** Messages under way at once. */
const concurrency = 16;
/** What can't be done now is held for so long before it is given back, so that it does not come again at once. */
const pauseMs = 5_000;
/** How long after a stream that broke for good, such as one of a subscription that is not there, it is opened again. */
const reopenMs = 10_000;

export interface SubscriberDeps {
  pubsub: PubSub;
  handle: (attributes: Readonly<Record<string, string>>) => Promise<Verdict>;
  logger: Logger;
}

/**
 * Takes messages from a Pub/Sub subscription, acknowledges each when it is done with, and publishes those that are of
 * no use to the dead-letter topic, with the reason as an attribute. Several subscribers may share a subscription.
 */
export class Subscriber {
  readonly #settings: TriggerSettings;
  readonly #deps: SubscriberDeps;

  constructor(settings: TriggerSettings, deps: SubscriberDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  /** Runs until the signal is aborted, and closes the client. */
  async run(signal: AbortSignal): Promise<void> {
    const { pubsub, logger } = this.#deps;
    const { subscription: name } = this.#settings;
    while (!signal.aborted) {
      const subscription = pubsub.subscription(name, { flowControl: { maxMessages: concurrency } });
      const broken = new Promise<Error | undefined>((resolve) => {
        subscription.on('error', resolve);
        signal.addEventListener('abort', () => resolve(undefined), { once: true });
      });
      subscription.on('message', (message: Message) => void this.#take(message, signal));
      logger.info({ subscription: name }, 'taking notifications of buckets');
      const error = await broken;
      await close(subscription);
      if (error === undefined) break;
      logger.error({ err: error, subscription: name }, 'notifications of buckets can not be taken; trying again');
      await sleep(reopenMs, undefined, { signal }).catch(() => {});
    }
    await pubsub.close();
  }

  async #take(message: Message, signal: AbortSignal): Promise<void> {
    const verdict = await this.#deps.handle(message.attributes);
    if (verdict.outcome === 'done') return message.ack();
    if (verdict.outcome === 'poison' && (await this.#bury(message, verdict.reason))) return message.ack();
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
    message.nack();
  }

  /** Whether the message is on the dead-letter topic; else the subscription's own policy is to take care of it. */
  async #bury({ id, data, attributes }: Message, reason: string): Promise<boolean> {
    const { subscription, deadLetterTopic } = this.#settings;
    if (deadLetterTopic === undefined) return false;
    try {
      await this.#deps.pubsub
        .topic(deadLetterTopic)
        .publishMessage({ data, attributes: { ...attributes, messageId: id, subscription, reason } });
      return true;
    } catch (error) {
      this.#deps.logger.error(
        { err: error, topic: deadLetterTopic },
        'a message can not be put on the dead-letter topic',
      );
      return false;
    }
  }
}

/** Messages that were not acknowledged come again, to whoever asks next. */
async function close(subscription: Subscription): Promise<void> {
  await subscription.close().catch(() => {});
  subscription.removeAllListeners();
  // A stream that is being closed may still report that it is.
  subscription.on('error', () => {});
}
