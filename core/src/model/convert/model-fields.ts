import { malformed } from './tree-ensemble.ts';

/**
 * A value of a parsed JSON or UBJSON file with its place in the file, so that whatever is wrong is said with the path
 * of its field.
 */
export class ModelField {
  readonly path: string;
  readonly #value: unknown;

  constructor(value: unknown, path: string) {
    this.#value = value;
    this.path = path;
  }

  get isPresent(): boolean {
    return this.#value !== undefined && this.#value !== null;
  }

  /** A field of an object; one that is not there is found out about when it is read. */
  get(name: string): ModelField {
    const value = this.#value;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.#wrong('an object');
    const field = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    return new ModelField(field, this.path === '' ? name : `${this.path}.${name}`);
  }

  items(): ModelField[] {
    if (!Array.isArray(this.#value)) throw this.#wrong('an array');
    return this.#value.map((item, index) => new ModelField(item, `${this.path}[${index}]`));
  }

  /** An array of numbers, and of `length` of them when that is given. Booleans are 0 and 1. */
  numbers(length?: number): number[] {
    const value = this.#value;
    if (!Array.isArray(value)) throw this.#wrong('an array of numbers');
    if (length !== undefined && value.length !== length) throw this.#wrong(`an array of ${length} numbers`);
    return value.map((item, index) => {
      if (typeof item === 'number') return item;
      if (typeof item === 'boolean') return item ? 1 : 0;
      throw new ModelField(item, `${this.path}[${index}]`).#wrong('a number');
    });
  }

  text(): string {
    if (typeof this.#value !== 'string') throw this.#wrong('a text');
    return this.#value;
  }

  /** A whole number >= 0, which XGBoost writes as text. */
  count(): number {
    const value = typeof this.#value === 'string' && /^\d+$/.test(this.#value) ? Number(this.#value) : this.#value;
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw this.#wrong('a whole number >= 0');
    return value as number;
  }

  #wrong(expected: string): Error {
    return malformed(
      this.path || 'the file',
      this.isPresent ? `must be ${expected}` : `is missing; it must be ${expected}`,
    );
  }
}
