import { keyOf, type KubeObject } from '../kube/object.ts';

/** One change of the cache. `object` is the last state known, also of what was deleted. */
export type StoreEvent =
  | { type: 'added'; object: KubeObject }
  | { type: 'updated'; object: KubeObject; old: KubeObject }
  | { type: 'deleted'; object: KubeObject };

export type StoreHandler = (event: StoreEvent) => void;

/** What reconcilers see of the cache of one type. The objects are frozen: copy what is to be changed. */
export interface ReadonlyStore {
  /** @param key `NAMESPACE/NAME`, or `NAME`. */
  get(key: string): KubeObject | undefined;
  /** All objects, or those of one namespace. */
  list(namespace?: string): KubeObject[];
  /** The objects that name this uid among their owners. */
  byOwner(uid: string): KubeObject[];
  /** The objects with this label. */
  byLabel(name: string, value: string): KubeObject[];
  readonly size: number;
  /**
   * Tells the handler of every object there is, as added, and then of every change. A handler must be quick and must
   * not throw: it is meant to put keys into a queue.
   * @returns a function that ends it.
   */
  subscribe(handler: StoreHandler): () => void;
}

/** The cache of one type's objects: what the API server was last heard to hold. */
export class Store implements ReadonlyStore {
  readonly #objects = new Map<string, KubeObject>();
  readonly #byOwner = new Index((object) => object.metadata.ownerReferences?.map(({ uid }) => uid) ?? []);
  /** One index for each label that was ever asked for. */
  readonly #byLabel = new Map<string, Index>();
  readonly #handlers = new Set<StoreHandler>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): KubeObject | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): KubeObject[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter(({ metadata }) => metadata.namespace === namespace);
  }

  byOwner(uid: string): KubeObject[] {
    return this.#objectsOf(this.#byOwner.keys(uid));
  }

  byLabel(name: string, value: string): KubeObject[] {
    let index = this.#byLabel.get(name);
    if (index === undefined) {
      index = new Index(({ metadata }) => (metadata.labels?.[name] === undefined ? [] : [metadata.labels[name]]));
      for (const [key, object] of this.#objects) index.add(key, object);
      this.#byLabel.set(name, index);
    }
    return this.#objectsOf(index.keys(value));
  }

  subscribe(handler: StoreHandler): () => void {
    this.#handlers.add(handler);
    for (const object of this.#objects.values()) handler({ type: 'added', object });
    return () => void this.#handlers.delete(handler);
  }

  /** Takes in an object's new state. */
  set(object: KubeObject): void {
    const key = keyOf(object.metadata);
    const old = this.#objects.get(key);
    if (old !== undefined && old.metadata.uid !== object.metadata.uid) this.delete(key);
    const before = this.#objects.get(key);
    this.#put(key, object);
    this.#tell(before === undefined ? { type: 'added', object } : { type: 'updated', object, old: before });
  }

  /** Forgets an object. `last` is its state when it went, if that is known. */
  delete(key: string, last?: KubeObject): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    this.#remove(key, object);
    this.#tell({ type: 'deleted', object: last ?? object });
  }

  /** Makes the cache hold exactly these objects. Of those that have not changed nobody is told. */
  replace(objects: readonly KubeObject[]): void {
    const present = new Set(objects.map(({ metadata }) => keyOf(metadata)));
    for (const key of this.#objects.keys()) if (!present.has(key)) this.delete(key);
    for (const object of objects) {
      const old = this.#objects.get(keyOf(object.metadata));
      if (old === undefined || !isSameVersion(old, object)) this.set(object);
    }
  }

  #put(key: string, object: KubeObject): void {
    const old = this.#objects.get(key);
    if (old !== undefined) this.#remove(key, old);
    this.#objects.set(key, object);
    for (const index of this.#indexes()) index.add(key, object);
  }

  #remove(key: string, object: KubeObject): void {
    this.#objects.delete(key);
    for (const index of this.#indexes()) index.remove(key, object);
  }

  *#indexes(): Iterable<Index> {
    yield this.#byOwner;
    yield* this.#byLabel.values();
  }

  #objectsOf(keys: Iterable<string>): KubeObject[] {
    return [...keys].map((key) => this.#objects.get(key) as KubeObject);
  }

  #tell(event: StoreEvent): void {
    for (const handler of this.#handlers) handler(event);
  }
}

function isSameVersion({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  return a.uid === b.uid && a.resourceVersion === b.resourceVersion;
}

/** Which keys have a value, when one object may have several. */
class Index {
  readonly #keysByValue = new Map<string, Set<string>>();
  readonly #valuesOf: (object: KubeObject) => string[];

  constructor(valuesOf: (object: KubeObject) => string[]) {
    this.#valuesOf = valuesOf;
  }

  keys(value: string): Iterable<string> {
    return this.#keysByValue.get(value) ?? [];
  }

  add(key: string, object: KubeObject): void {
    for (const value of this.#valuesOf(object)) {
      const keys = this.#keysByValue.get(value);
      if (keys) keys.add(key);
      else this.#keysByValue.set(value, new Set([key]));
    }
  }

  remove(key: string, object: KubeObject): void {
    for (const value of this.#valuesOf(object)) {
      const keys = this.#keysByValue.get(value);
      keys?.delete(key);
      if (keys?.size === 0) this.#keysByValue.delete(value);
    }
  }
}
