/** What the chart tells the operator about the pods it makes. */
export interface WorkloadSettings {
  /** The image with server and queue-worker. Part of a revision: another image is another revision. */
  image: string;
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  redis: RedisReference;
  /** Separates installations that share a Redis; see `redisPrefix`. */
  redisPrefix: string;
  storage: Storage;
  /** Seconds that an ending pod goes on answering, longer than the cluster takes to send requests elsewhere. */
  drainSeconds: number;
  /** The Gateway that HTTPRoutes attach to; without it there are none. */
  gateway?: { name: string; namespace: string };
  serviceAccountAnnotations: Record<string, string>;
}

/** Where pods find Redis: an address without a password, or a Secret of their own namespace that has it. */
export type RedisReference = { url: string } | { secretName: string; secretKey: string };

/** Where buckets and warehouse are: a volume that every pod mounts (its claim is in the model's namespace). */
export interface Storage {
  claimName: string;
}

/** What a namespace's keys in Redis begin with: models of the same name in two namespaces have nothing in common. */
export function redisPrefix(settings: WorkloadSettings, namespace: string): string {
  return `${settings.redisPrefix}:${namespace}`;
}
