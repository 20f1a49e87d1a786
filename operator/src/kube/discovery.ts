import { kindKey, type KindName, type ResourceType } from './resource-type.ts';
import type { Transport } from './transport.ts';

/** Both roots in one answer each: every group, version and kind, rather than one request a version. */
const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
const roots = ['/api', '/apis'] as const;

interface ResourceDiscovery {
  resource: string;
  responseKind?: { group?: string; version?: string; kind?: string };
  scope: 'Namespaced' | 'Cluster';
}

interface GroupDiscovery {
  metadata?: { name?: string };
  versions: { version: string; freshness?: string; resources?: ResourceDiscovery[] }[];
}

/** What the API server serves. */
export class Discovery {
  readonly #types: ReadonlyMap<string, ResourceType>;

  constructor(types: Iterable<ResourceType>) {
    this.#types = new Map([...types].map((type) => [kindKey(type), type]));
  }

  has(apiVersion: string, kind: string): boolean {
    return this.#types.has(kindKey({ apiVersion, kind }));
  }

  /** Where a kind's objects are, or undefined when it is not served. */
  typeOf(name: KindName): ResourceType | undefined {
    return this.#types.get(kindKey(name));
  }

  *[Symbol.iterator](): IterableIterator<ResourceType> {
    yield* this.#types.values();
  }
}

/**
 * Asks what is served. Asking again is cheap: the server answers 304 and no body as long as nothing has changed.
 * A group whose own server is away is told by the API server as it was last seen.
 */
export class Discoverer {
  readonly #transport: Transport;
  readonly #known = new Map<string, { etag: string | undefined; types: ResourceType[] }>();
  #discovery: Discovery | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** What the last look found; undefined before the first. */
  get last(): Discovery | undefined {
    return this.#discovery;
  }

  /** @throws KubeError when the server can't be asked, or knows no aggregated discovery (Kubernetes before 1.30). */
  async discover(): Promise<Discovery> {
    const changed = await Promise.all(roots.map((root) => this.#refresh(root)));
    if (this.#discovery === undefined || changed.includes(true)) {
      this.#discovery = new Discovery([...this.#known.values()].flatMap(({ types }) => types));
    }
    return this.#discovery;
  }

  async #refresh(root: string): Promise<boolean> {
    const etag = this.#known.get(root)?.etag;
    const { status, headers, text } = await this.#transport.call({
      method: 'GET',
      path: root,
      headers: { accept, ...(etag === undefined ? {} : { 'if-none-match': etag }) },
      action: `discover ${root}`,
    });
    if (status === 304) return false;
    const { kind, items = [] } = JSON.parse(text) as { kind: string; items?: GroupDiscovery[] };
    if (kind !== 'APIGroupDiscoveryList') throw new Error(`Cannot discover ${root}: the API server answers ${kind}`);
    const newTag = headers['etag'];
    this.#known.set(root, { etag: typeof newTag === 'string' ? newTag : undefined, types: items.flatMap(typesOf) });
    return true;
  }
}

function typesOf({ metadata, versions }: GroupDiscovery): ResourceType[] {
  const group = metadata?.name ?? '';
  return versions.flatMap(({ version, resources = [] }) =>
    resources.flatMap(({ resource, responseKind, scope }) => {
      if (!responseKind?.kind) return [];
      const apiVersion = group === '' ? version : `${group}/${version}`;
      return [{ apiVersion, kind: responseKind.kind, plural: resource, namespaced: scope === 'Namespaced' }];
    }),
  );
}
