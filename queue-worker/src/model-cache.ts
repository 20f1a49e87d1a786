import { loadModel, type Model } from '@riskmodel/core/model/model.ts';
import type { OpenSession } from '@riskmodel/core/model/session.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { fingerprint } from './plan.ts';

/** Models loaded once however many chunks they score; the one that was not used for longest makes room. */
export class ModelCache {
  readonly #store: ObjectStore;
  readonly #open: OpenSession;
  readonly #capacity: number;
  readonly #models = new Map<string, Promise<Model>>();

  constructor(store: ObjectStore, open: OpenSession, capacity = 8) {
    this.#store = store;
    this.#open = open;
    this.#capacity = capacity;
  }

  /** Throws what `loadModel` throws; a failure is not remembered. */
  load(manifest: RiskModel): Promise<Model> {
    const key = fingerprint(manifest.metadata.name, manifest.spec.artifact, manifest.spec.features);
    const loading = this.#models.get(key) ?? loadModel(manifest, this.#store, this.#open);
    this.#models.delete(key);
    this.#models.set(key, loading);
    loading.catch(() => this.#models.delete(key));
    const [oldest] = this.#models.keys();
    // Its session is left to the garbage collector: a chunk may still be scoring with it.
    if (this.#models.size > this.#capacity && oldest !== undefined) this.#models.delete(oldest);
    return loading;
  }
}
