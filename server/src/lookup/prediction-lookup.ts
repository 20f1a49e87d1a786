import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { StoredPrediction } from '@riskmodel/core/lookup/prediction-entry.ts';
import type { PredictionTable } from '@riskmodel/core/lookup/prediction-table.ts';

/** What the route of predictions calls. */
export interface PredictionLookup {
  /**
   * The latest prediction that a batch made of a record; undefined when there is none.
   * @throws RiskModelError `LookupUnavailable`, which passes
   */
  get(model: string, id: string): Promise<StoredPrediction | undefined>;
}

/** Looks predictions up in Redis, with every failure of Redis turned into one error. */
export class RedisPredictionLookup implements PredictionLookup {
  readonly #table: Pick<PredictionTable, 'get'>;

  constructor(table: Pick<PredictionTable, 'get'>) {
    this.#table = table;
  }

  async get(model: string, id: string): Promise<StoredPrediction | undefined> {
    try {
      return await this.#table.get(model, id);
    } catch (cause) {
      throw new RiskModelError(
        'LookupUnavailable',
        "Batches' predictions are not available at the moment: Redis does not answer",
        { retry: 'later', cause },
      );
    }
  }
}
