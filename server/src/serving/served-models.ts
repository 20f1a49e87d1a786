import { RiskModelError } from '@riskmodel/core/errors.ts';
import { HttpError } from '../http/http-error.ts';
import type { ServedModel } from './served-model.ts';

/** The models of this server, by name. */
export class ServedModels {
  readonly #byName: ReadonlyMap<string, ServedModel>;
  readonly #default: ServedModel | undefined;

  /**
   * @param defaultName the model of `/risk-online-prediction`; the only model needs no naming
   * @throws RiskModelError `InvalidConfig` when there is no model of that name
   */
  constructor(models: readonly ServedModel[], defaultName?: string) {
    this.#byName = new Map(models.map((served) => [served.model.name, served]));
    this.#default =
      defaultName === undefined ? (models.length === 1 ? models[0] : undefined) : this.#byName.get(defaultName);
    if (defaultName !== undefined && this.#default === undefined) {
      throw new RiskModelError(
        'InvalidConfig',
        `the default model "${defaultName}" is not served here; served are: ${this.names.join(', ')}`,
      );
    }
  }

  get names(): string[] {
    return [...this.#byName.keys()];
  }

  [Symbol.iterator](): Iterator<ServedModel> {
    return this.#byName.values();
  }

  /** The default model; undefined when there are several and none was named. */
  get default(): ServedModel | undefined {
    return this.#default;
  }

  /** @throws HttpError 404 for a name, or a version, that is not served */
  get(name: string, version?: string): ServedModel {
    const served = this.#byName.get(name);
    if (served === undefined) {
      throw new HttpError(404, `model "${name}" is not served here; served are: ${this.names.join(', ')}`);
    }
    if (version !== undefined && version !== served.model.version) {
      throw new HttpError(
        404,
        `version "${version}" of model "${name}" is not served here; served is: ${served.model.version}`,
      );
    }
    return served;
  }

  /**
   * The default model, for routes that name none.
   * @throws HttpError 409 when there are several and none is the default
   */
  requireDefault(): ServedModel {
    if (this.#default !== undefined) return this.#default;
    throw new HttpError(
      409,
      `several models are served and none is the default: set RISKMODEL_DEFAULT_MODEL, or call /v1/models/MODEL:predict with one of ${this.names.join(', ')}`,
    );
  }
}
