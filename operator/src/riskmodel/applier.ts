import { controllerOf, keyOf, type KubeObject, type ObjectRef } from '../kube/object.ts';
import type { ApplyOptions, DeleteOptions, PatchOptions, WriteOptions } from '../kube/client.ts';
import { isAlreadyExists } from '../kube/kube-error.ts';
import { kindKey, type ResourceType } from '../kube/resource-type.ts';
import type { StoreEvent } from '../runtime/store.ts';
import { covers } from './covers.ts';
import { appliedFields } from './field-ownership.ts';
import { typeOf } from './resource-types.ts';

/** Who the fields that we say belong to. */
export const fieldManager = 'riskmodel-operator';
/** Who says how many pods a revision has while no autoscaler does, and when it was retired. */
export const rolloutManager = 'riskmodel-operator-rollout';

/** The requests that a reconcile makes. */
export interface Writer {
  get(type: ResourceType, ref: ObjectRef): Promise<KubeObject | undefined>;
  create(object: KubeObject, options: WriteOptions): Promise<KubeObject>;
  patch(type: ResourceType, ref: ObjectRef, patch: unknown, options: PatchOptions): Promise<KubeObject>;
  apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  delete(type: ResourceType, ref: ObjectRef, options?: DeleteOptions): Promise<boolean>;
}

/** The cached object of a type, by `NAMESPACE/NAME`. */
export type Lookup = (type: ResourceType, key: string) => KubeObject | undefined;

/** An object of the right name that belongs to somebody else. */
export class NotOwnedError extends Error {
  readonly object: string;

  constructor(object: KubeObject) {
    super(`${object.kind} ${object.metadata.name} belongs to somebody else`);
    this.name = 'NotOwnedError';
    this.object = `${object.kind} ${object.metadata.name}`;
  }
}

/**
 * Writes desired objects, and only when the cluster has something else. Until the cache has heard of a write, what was
 * written counts, so that a reconcile right after another one writes nothing again.
 */
export class Applier {
  readonly #writer: Writer;
  readonly #lookup: Lookup;
  readonly #written = new Map<string, KubeObject>();

  constructor(writer: Writer, lookup: Lookup) {
    this.#writer = writer;
    this.#lookup = lookup;
  }

  /** The newest state known of an object. */
  live(type: ResourceType, key: string): KubeObject | undefined {
    const cached = this.#lookup(type, key);
    const id = `${kindKey(type)} ${key}`;
    const written = this.#written.get(id);
    if (written === undefined) return cached;
    if (cached !== undefined && !isNewer(written, cached)) {
      this.#written.delete(id);
      return cached;
    }
    return written;
  }

  /** To be told of every change of the cache: what was written counts no longer once the cache has it, or dropped it. */
  take({ type, object }: StoreEvent): void {
    const id = `${kindKey(object)} ${keyOf(object.metadata)}`;
    const written = this.#written.get(id);
    if (written === undefined) return;
    const isOver = type === 'deleted' ? written.metadata.uid === object.metadata.uid : !isNewer(written, object);
    if (isOver) this.#written.delete(id);
  }

  /** Has what was written count until the cache has heard of it. */
  remember(type: ResourceType, object: KubeObject): void {
    const { managedFields: _, ...metadata } = object.metadata;
    this.#written.set(`${kindKey(type)} ${keyOf(metadata)}`, { ...object, metadata });
  }

  /**
   * Makes the cluster have the object.
   * @param atFirst the object as it is created where there is none, should it begin with more than it is held to
   * @throws NotOwnedError when there is one of this name that the same owner does not control
   */
  async apply(desired: KubeObject, atFirst: KubeObject = desired): Promise<void> {
    const type = typeOf(desired);
    const live = this.live(type, keyOf(desired.metadata));
    if (live === undefined) return this.#create(type, desired, atFirst);
    mustBelongTo(desired, live);
    if (live.metadata.deletionTimestamp === undefined && covers(live, desired)) return;
    await this.#change(type, desired);
  }

  /** Says how many pods a revision's Deployment has, and since when it is retired. Nothing else of it is touched. */
  async applyRollout(deployment: KubeObject, replicas: number, retiredAt: Record<string, string>): Promise<void> {
    const { apiVersion, kind, metadata } = deployment;
    const { name, namespace = '' } = metadata;
    const partial: KubeObject = {
      apiVersion,
      kind,
      metadata: { name, namespace, annotations: retiredAt },
      spec: { replicas },
    };
    this.remember(typeOf(deployment), await this.#writer.apply(partial, { fieldManager: rolloutManager, force: true }));
  }

  /** Deletes an object that the owner controls; one that is somebody else's, or not there, is left alone. */
  async delete(
    type: ResourceType,
    ref: { namespace: string; name: string },
    ownerUid: string | undefined,
  ): Promise<void> {
    const live = this.live(type, keyOf(ref));
    if (live === undefined || controllerOf(live)?.uid !== ownerUid) return;
    if (live.metadata.deletionTimestamp !== undefined) return;
    await this.#writer.delete(type, ref, {
      propagationPolicy: 'Background',
      preconditions: { uid: live.metadata.uid },
    });
    this.#written.delete(`${kindKey(type)} ${keyOf(ref)}`);
  }

  /** To create is one request, and costs the server less than to apply. */
  async #create(type: ResourceType, desired: KubeObject, atFirst: KubeObject): Promise<void> {
    try {
      this.remember(type, await this.#writer.create(atFirst, { fieldManager }));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await this.#change(type, desired);
    }
  }

  async #change(type: ResourceType, desired: KubeObject): Promise<void> {
    // The caches hold only what carries our labels, and not who manages which field.
    const live = await this.#writer.get(type, desired.metadata);
    if (live !== undefined) {
      mustBelongTo(desired, live);
      const managedFields = appliedFields(live, fieldManager);
      if (managedFields !== undefined) await this.#setManagedFields(type, live, managedFields);
    }
    this.remember(type, await this.#writer.apply(desired, { fieldManager, force: true }));
  }

  async #setManagedFields(type: ResourceType, { metadata }: KubeObject, managedFields: unknown[]): Promise<void> {
    const patch = [
      { op: 'replace', path: '/metadata/managedFields', value: managedFields },
      // Only of the object as it was read.
      { op: 'replace', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
    ];
    await this.#writer.patch(type, metadata, patch, { type: 'json', fieldManager });
  }
}

function mustBelongTo(desired: KubeObject, live: KubeObject): void {
  if (controllerOf(live)?.uid !== controllerOf(desired)?.uid) throw new NotOwnedError(live);
}

/** Resource versions are numbers that grow, also across objects (KEP-5504). */
function isNewer(a: KubeObject, b: KubeObject): boolean {
  return BigInt(a.metadata.resourceVersion ?? 0) > BigInt(b.metadata.resourceVersion ?? 0);
}
