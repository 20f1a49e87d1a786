import { RiskModelError } from '@riskmodel/core/errors.ts';
import { featureOfText, type FeatureTable } from '@riskmodel/core/lookup/feature-table.ts';
import type { Problem } from '@riskmodel/core/model/features.ts';
import { isLost } from '@riskmodel/core/redis/connect.ts';
import type { RiskModelSpec } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { Redis } from 'ioredis';
import { isObject } from '../http/http-error.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A record with what the store had of the features that it lacked. */
export interface CompletedRecord {
  record: Fields;
  /** Says of the encoder's problems which are the store's, so that the caller knows where to look. */
  explain(problems: readonly Problem[]): Problem[];
}

/** Records looked up in one round trip to Redis. */
const lookedUpAtOnce = 1_000;

/**
 * Gets the features that a request lacks from the model's store, by the identifier that the request carries. Features
 * of the request win; null there says that there is no value, and is not looked up. What neither has is missing, and
 * the manifest's rules for missing values hold.
 */
export class FeatureStore {
  readonly #table: Pick<FeatureTable, 'read'>;
  readonly #redis: Pick<Redis, 'status'>;
  readonly #features: RiskModelSpec['features'];
  readonly #identifier: string;

  /** @param redis the table's connection */
  constructor(
    table: Pick<FeatureTable, 'read'>,
    redis: Pick<Redis, 'status'>,
    { features, identifier = '' }: Pick<RiskModelSpec, 'features' | 'identifier'>,
  ) {
    this.#table = table;
    this.#redis = redis;
    this.#features = features;
    this.#identifier = identifier;
  }

  /** Whether a record needs the store: it has an identifier, and not all features. */
  lacks(record: Fields): boolean {
    return this.#idOf(record) !== undefined && this.#features.some(({ name }) => record[name] === undefined);
  }

  /** @throws RiskModelError `FeatureStoreUnavailable`, which passes */
  async complete(record: Fields): Promise<CompletedRecord> {
    const id = this.#idOf(record) ?? '';
    const lacking = this.#features.filter(({ name }) => record[name] === undefined);
    const names = lacking.map(({ name }) => name);
    const texts = await this.#read(id, names);
    const completed: Record<string, unknown> = { ...record };
    for (const [index, feature] of lacking.entries()) {
      const text = texts[index] ?? null;
      if (text !== null) completed[feature.name] = featureOfText(feature, text);
    }
    const lookedUp = new Set(names);
    return {
      record: completed,
      explain: (problems) =>
        problems.map((problem) =>
          lookedUp.has(problem.feature) ? { ...problem, message: storeMessage(problem) } : problem,
        ),
    };
  }

  /** The records that need the store, completed, by their place in `records`. */
  async completeAll(records: readonly unknown[]): Promise<Map<number, CompletedRecord>> {
    const completed = new Map<number, CompletedRecord>();
    const lacking = [...records.entries()].filter(
      (entry): entry is [number, Fields] => isObject(entry[1]) && this.lacks(entry[1]),
    );
    for (let from = 0; from < lacking.length; from += lookedUpAtOnce) {
      const some = lacking.slice(from, from + lookedUpAtOnce);
      const found = await Promise.all(some.map(([, record]) => this.complete(record)));
      for (const [index, record] of found.entries()) completed.set(some[index]?.[0] as number, record);
    }
    return completed;
  }

  #idOf(record: Fields): string | undefined {
    const id = record[this.#identifier];
    if (typeof id === 'string') return id === '' ? undefined : id;
    return Number.isSafeInteger(id) ? String(id) : undefined;
  }

  async #read(id: string, names: readonly string[]): Promise<(string | null)[]> {
    try {
      // While a connection is being made again, a command would wait for it.
      if (isLost(this.#redis)) throw new Error(`the connection is ${this.#redis.status}`);
      return await this.#table.read(id, names);
    } catch (cause) {
      throw new RiskModelError(
        'FeatureStoreUnavailable',
        'the feature store is not available at the moment: Redis does not answer; a request that carries all features is answered',
        { retry: 'later', cause },
      );
    }
  }
}

function storeMessage({ type, message }: Problem): string {
  return type === 'missing' ? 'is neither in the request nor in the feature store' : `${message}, in the feature store`;
}
