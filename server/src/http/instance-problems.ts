import type { Problem } from '@riskmodel/core/model/features.ts';
import { HttpError } from './http-error.ts';

/** Of a request with many rows this many problems are told; the rest are counted. */
const mostTold = 10;

/** Gathers what is wrong with a request's rows into one sentence. */
export class InstanceProblems {
  readonly #told: string[] = [];
  #count = 0;

  /** @param instance the row's number in the request, from 0 */
  add(instance: number, problems: readonly Problem[] | undefined): void {
    if (problems === undefined) return;
    for (const { feature, message } of problems) this.addText(instance, `${feature}: ${message}`);
  }

  addText(instance: number, text: string): void {
    this.#count++;
    if (this.#told.length < mostTold) this.#told.push(`instance ${instance}: ${text}`);
  }

  /** @throws HttpError 400 when there are any */
  throwIfAny(): void {
    if (this.#count === 0) return;
    const more = this.#count - this.#told.length;
    throw new HttpError(400, this.#told.join('; ') + (more > 0 ? `; and ${more} more` : ''));
  }
}

/** The rows of one online request at most; more are a batch. */
export const mostInstances = 65_536;

/** @throws HttpError 413 */
export function checkInstanceCount(count: number): void {
  if (count > mostInstances) {
    throw new HttpError(
      413,
      `${count} instances are more than the limit of ${mostInstances} a request: submit a batch`,
    );
  }
}
