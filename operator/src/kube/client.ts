import { Discoverer, type Discovery } from './discovery.ts';
import { givingUp } from './given-up.ts';
import { isNotFound, KubeError } from './kube-error.ts';
import { keyOf, type KubeObject, type ObjectRef } from './object.ts';
import { collectionPath, objectPath, type KindName, type ResourceType } from './resource-type.ts';
import { Transport, type Call, type Query, type TransportOptions } from './transport.ts';
import { watchEvents, type WatchEvent } from './watch-stream.ts';

export interface ListOptions {
  /** One namespace; all of them when absent. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  limit?: number;
  /** Where the page before ended. */
  continue?: string | undefined;
  resourceVersion?: string | undefined;
  resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  signal?: AbortSignal | undefined;
}

export interface ObjectList {
  items: KubeObject[];
  resourceVersion: string;
  /** Set when there are more pages. */
  continue?: string;
}

export interface WatchOptions {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  resourceVersion: string;
  allowWatchBookmarks?: boolean;
  /** When the server ends the watch. */
  timeoutSeconds?: number;
  signal?: AbortSignal | undefined;
}

export interface WriteOptions {
  fieldManager?: string;
  dryRun?: boolean;
  signal?: AbortSignal | undefined;
}

export interface ApplyOptions extends WriteOptions {
  /** Who the fields belong to from now on. */
  fieldManager: string;
  /** Take fields over from other managers, rather than fail with a conflict. */
  force?: boolean;
}

export interface PatchOptions extends WriteOptions {
  /** `merge` (RFC 7386, an object) or `json` (RFC 6902, a list of operations). */
  type: 'merge' | 'json';
  subresource?: string;
}

export interface DeleteOptions {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  /** Deletes only the object as it was seen. */
  preconditions?: { uid?: string | undefined; resourceVersion?: string | undefined };
  gracePeriodSeconds?: number;
  signal?: AbortSignal | undefined;
}

export interface LogOptions {
  container?: string;
  tailLines?: number;
  /** The logs of the container before its last restart. */
  previous?: boolean;
  signal?: AbortSignal | undefined;
}

export interface ServerVersion {
  major: string;
  minor: string;
  gitVersion: string;
}

/** The most of a pod's log that is read: enough for its last words. */
const logLimitBytes = 64 * 1024;
/** How long a kind that is not served is taken for absent before the server is asked anew. */
const unknownKindMs = 500;

/**
 * The Kubernetes API as far as this operator needs it. Objects go in and come out as they are, whole: no field is
 * dropped, added or turned into another type. Every method throws a `KubeError` when it fails.
 */
export class KubeClient {
  readonly #transport: Transport;
  readonly #discoverer: Discoverer;
  #discoveredAt = Number.NEGATIVE_INFINITY;
  #discovering: Promise<Discovery> | undefined;

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
    this.#discoverer = new Discoverer(this.#transport);
  }

  /** The object, or undefined when there is none. */
  async get(type: ResourceType, ref: ObjectRef, signal?: AbortSignal): Promise<KubeObject | undefined> {
    try {
      return await this.#object({ method: 'GET', path: objectPath(type, ref), signal, action: told('get', type, ref) });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** One page of a type's objects, each with the apiVersion and kind that the server leaves out of lists. */
  async list(type: ResourceType, options: ListOptions = {}): Promise<ObjectList> {
    const { namespace, signal, ...query } = options;
    const path = collectionPath(type, namespace);
    const { text } = await this.#transport.call({ method: 'GET', path, query, signal, action: `list ${type.plural}` });
    const { items, metadata } = JSON.parse(text) as {
      items?: KubeObject[] | null;
      metadata: { resourceVersion: string; continue?: string };
    };
    const { apiVersion, kind } = type;
    return {
      items: (items ?? []).map((item) => ({ ...item, apiVersion, kind })),
      resourceVersion: metadata.resourceVersion,
      ...(metadata.continue ? { continue: metadata.continue } : {}),
    };
  }

  /** The changes after a resourceVersion, until the server ends the watch or the signal is aborted. */
  async *watch(type: ResourceType, options: WatchOptions): AsyncGenerator<WatchEvent> {
    const { namespace, signal, ...query } = options;
    const path = collectionPath(type, namespace);
    const action = `watch ${type.plural}`;
    const body = await this.#transport.stream({
      method: 'GET',
      path,
      query: { ...query, watch: true },
      signal,
      action,
    });
    yield* watchEvents(body, action);
  }

  /** Server-side apply: creates the object, or makes the fields it has the field manager's own. */
  async apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    return this.#apply(object, options);
  }

  /** Server-side apply of `status` alone; the object must exist. */
  async applyStatus(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    return this.#apply(object, options, 'status');
  }

  async create(object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const type = await this.resolve(object);
    return this.#object({
      method: 'POST',
      path: collectionPath(type, namespaceOf(type, object.metadata)),
      query: writeQuery(options),
      body: object,
      signal: options.signal,
      action: told('create', type, object.metadata),
    });
  }

  /** Replaces the object. With its resourceVersion, only if nobody else has written since. */
  async update(object: KubeObject, options: WriteOptions & { subresource?: string } = {}): Promise<KubeObject> {
    const type = await this.resolve(object);
    return this.#object({
      method: 'PUT',
      path: objectPath(type, object.metadata, options.subresource),
      query: writeQuery(options),
      body: object,
      signal: options.signal,
      action: told('update', type, object.metadata, options.subresource),
    });
  }

  async patch(type: ResourceType, ref: ObjectRef, patch: unknown, options: PatchOptions): Promise<KubeObject> {
    return this.#object({
      method: 'PATCH',
      path: objectPath(type, ref, options.subresource),
      query: writeQuery(options),
      body: patch,
      contentType: options.type === 'json' ? 'application/json-patch+json' : 'application/merge-patch+json',
      signal: options.signal,
      action: told('patch', type, ref, options.subresource),
    });
  }

  /** Asks for the object's deletion; false when it was gone already. */
  async delete(type: ResourceType, ref: ObjectRef, options: DeleteOptions = {}): Promise<boolean> {
    const { signal, ...body } = options;
    try {
      await this.#transport.call({
        method: 'DELETE',
        path: objectPath(type, ref),
        body: { apiVersion: 'v1', kind: 'DeleteOptions', ...body },
        signal,
        action: told('delete', type, ref),
      });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** The last of what a container wrote, at most 64 KiB of it. */
  async logs(namespace: string, pod: string, options: LogOptions = {}): Promise<string> {
    const { signal, ...query } = options;
    const { text } = await this.#transport.call({
      method: 'GET',
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`,
      query: { ...query, limitBytes: logLimitBytes },
      headers: { accept: '*/*' },
      signal,
      action: `read the log of Pod ${namespace}/${pod}`,
    });
    return text;
  }

  async serverVersion(signal?: AbortSignal): Promise<ServerVersion> {
    const { text } = await this.#transport.call({ method: 'GET', path: '/version', signal, action: 'ask the version' });
    return JSON.parse(text) as ServerVersion;
  }

  /** What the server serves at this moment. Those who ask at the same time share one look. */
  async discover(): Promise<Discovery> {
    // Who asks first may be given up, and the others not.
    this.#discovering ??= givingUp(undefined, () => this.#discoverer.discover())
      .then((discovery) => {
        this.#discoveredAt = performance.now();
        return discovery;
      })
      .finally(() => {
        this.#discovering = undefined;
      });
    return this.#discovering;
  }

  /**
   * Where the objects of a kind are, as the server says; remembered, and asked anew for a kind not seen yet.
   * @throws KubeError 404 `NoSuchKind` when it is not served.
   */
  async resolve(name: KindName): Promise<ResourceType> {
    const known = this.#discoverer.last?.typeOf(name);
    if (known) return known;
    const isFresh = performance.now() - this.#discoveredAt < unknownKindMs;
    const type = isFresh ? undefined : (await this.discover()).typeOf(name);
    if (type) return type;
    throw new KubeError(404, 'NoSuchKind', `The cluster serves no ${name.kind} in ${name.apiVersion}`);
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #apply(object: KubeObject, options: ApplyOptions, subresource?: string): Promise<KubeObject> {
    const type = await this.resolve(object);
    // The server refuses an apply that says itself which fields are whose.
    const { managedFields: _, ...metadata } = object.metadata;
    return this.#object({
      method: 'PATCH',
      path: objectPath(type, object.metadata, subresource),
      query: { ...writeQuery(options), force: options.force ?? false },
      body: { ...object, metadata },
      // The server knows no JSON here, but JSON is YAML.
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
      action: told('apply', type, object.metadata, subresource),
    });
  }

  async #object(call: Call): Promise<KubeObject> {
    return JSON.parse((await this.#transport.call(call)).text) as KubeObject;
  }
}

function namespaceOf(type: ResourceType, { name, namespace }: ObjectRef): string | undefined {
  if (type.namespaced && !namespace) throw new Error(`Cannot address ${type.kind} ${name} without a namespace`);
  return namespace;
}

function writeQuery({ fieldManager, dryRun }: WriteOptions): Query {
  return { fieldManager, dryRun: dryRun === true ? 'All' : undefined };
}

/** `apply status of RiskModel default/credit`. */
function told(verb: string, type: ResourceType, ref: ObjectRef, subresource?: string): string {
  return `${verb} ${subresource === undefined ? '' : `${subresource} of `}${type.kind} ${keyOf(ref)}`;
}
