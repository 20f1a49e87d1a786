import type { Role } from '@riskmodel/core/access/api-key.ts';
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { CacheResult } from '../scoring/prediction-cache.ts';
import { TalliedHistogram, type Series } from './tallied-histogram.ts';

/** What one model's scoring is counted by. */
export interface ModelMetrics {
  onRun: (rows: number, seconds: number) => void;
  onShed: () => void;
  /** `probabilities` are row-major `[rows, 2]`. */
  onScored: (probabilities: Float32Array) => void;
  onCacheResult: (result: CacheResult, rows: number) => void;
}

export interface ServerMetrics {
  readonly registry: Registry;
  /** Counts an answered request. `route` is the pattern, never the path, so that the number of series is bounded. */
  onRequest(route: string, method: string, status: number, seconds: number): void;
  /** Counts what a guard decided; callers are not told apart, so that the number of series is bounded. */
  onAccess(role: Role, outcome: AccessOutcome): void;
  /** The number of API keys now accepted; undefined when they could not be read and the old ones stay. */
  onApiKeysRead(keys: number | undefined): void;
  forModel(model: { name: string; version: string; sha256: string }): ModelMetrics;
  /** Adds the depth of the batch queues, which `read` fetches whenever the metrics are. */
  watchQueues(read: () => Promise<QueueDepth[]>): void;
}

/** What became of a request that a guard looked at. */
export type AccessOutcome = 'allowed' | 'unauthenticated' | 'forbidden' | 'limited' | 'unavailable';

export interface QueueDepth {
  model: string;
  /** Jobs by state, as BullMQ names them. */
  jobs: Readonly<Record<string, number>>;
  /** How long the job that has waited longest has; 0 when none waits. */
  oldestSeconds: number;
}

const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const probabilityBuckets = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** Methods that have a series of their own; a client may send any word. */
const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** The server's metrics, in a registry of their own. */
export function makeMetrics(options: { processMetrics: boolean } = { processMetrics: true }): ServerMetrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.processMetrics) collectDefaultMetrics({ register: registry });

  const requests = new Counter({
    name: 'riskmodel_http_requests_total',
    help: 'HTTP requests answered.',
    labelNames: ['route', 'method', 'code'],
    registers,
  });
  const requestSeconds = new TalliedHistogram<'route'>({
    name: 'riskmodel_http_request_duration_seconds',
    help: 'Seconds from the head of a request to the end of its answer.',
    buckets: latencyBuckets,
    registry,
  });
  const runRows = new TalliedHistogram<'model'>({
    name: 'riskmodel_model_run_rows',
    help: 'Rows scored together in one run of the model.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    registry,
  });
  const runSeconds = new TalliedHistogram<'model'>({
    name: 'riskmodel_model_run_duration_seconds',
    help: 'Seconds that one run of the model took.',
    buckets: [0.00002, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1],
    registry,
  });
  const shed = new Counter({
    name: 'riskmodel_requests_shed_total',
    help: 'Requests answered with 503 because too many rows waited for the model.',
    labelNames: ['model'],
    registers,
  });
  const predicted = new TalliedHistogram<'model' | 'version'>({
    name: 'riskmodel_predicted_probability',
    help: 'prob_1 of the answers given, cached ones included.',
    buckets: probabilityBuckets,
    registry,
  });
  const cacheRequests = new Counter({
    name: 'riskmodel_prediction_cache_requests_total',
    help: 'Rows looked up in the prediction cache, by what came of it.',
    labelNames: ['model', 'result'],
    registers,
  });
  const info = new Gauge({
    name: 'riskmodel_model_info',
    help: 'Always 1: the models that are served.',
    labelNames: ['model', 'version', 'sha256'],
    registers,
  });

  // Read together with the queues' depths, below.
  const queueAge = new Gauge({
    name: 'riskmodel_batch_queue_oldest_seconds',
    help: 'How long the job that has waited longest in a batch queue has waited.',
    labelNames: ['model'],
    registers,
  });
  const access = new Counter({
    name: 'riskmodel_access_decisions_total',
    help: 'Requests that a guard looked at, by what it guards and what came of it.',
    labelNames: ['access', 'outcome'],
    registers,
  });
  const apiKeys = new Gauge({ name: 'riskmodel_api_keys', help: 'API keys that are accepted.', registers });
  const apiKeysStale = new Gauge({
    name: 'riskmodel_api_keys_stale',
    help: 'Whether the last change of the API keys could not be read, so that older ones are accepted.',
    registers,
  });

  let readQueues: (() => Promise<QueueDepth[]>) | undefined;
  const queueJobs: Gauge<'model' | 'state'> = new Gauge({
    name: 'riskmodel_batch_queue_jobs',
    help: 'Jobs in the batch queues; absent while Redis is away.',
    labelNames: ['model', 'state'],
    registers,
    async collect() {
      const depths = (await readQueues?.()) ?? [];
      queueJobs.reset();
      queueAge.reset();
      for (const { model, jobs, oldestSeconds } of depths) {
        queueAge.set({ model }, oldestSeconds);
        for (const [state, count] of Object.entries(jobs)) queueJobs.set({ model, state }, count);
      }
    },
  });

  // Looking a labelled series up costs more than counting, so the ones in use are kept.
  const routes = new Map<string, RouteSeries>();
  const accessSeries = new Map<string, Counter.Internal>();

  return {
    registry,
    onRequest(route, method, status, seconds) {
      const series = remember(routes, route, () => ({ seconds: requestSeconds.labels({ route }), methods: new Map() }));
      series.seconds.observe(seconds);
      const known = knownMethods.has(method) ? method : 'other';
      const codes = remember(series.methods, known, () => new Map<number, Counter.Internal>());
      remember(codes, status, () => requests.labels({ route, method: known, code: String(status) })).inc();
    },
    onAccess(role, outcome) {
      remember(accessSeries, `${role} ${outcome}`, () => access.labels({ access: role, outcome })).inc();
    },
    onApiKeysRead(keys) {
      apiKeysStale.set(keys === undefined ? 1 : 0);
      if (keys !== undefined) apiKeys.set(keys);
    },
    forModel({ name: model, version, sha256 }) {
      info.set({ model, version, sha256 }, 1);
      const rows = runRows.labels({ model });
      const seconds = runSeconds.labels({ model });
      const shedRequests = shed.labels({ model });
      // Seen as 0 before the first, so that its rate is known.
      shedRequests.inc(0);
      const probability = predicted.labels({ model, version });
      return {
        onRun(count, duration) {
          rows.observe(count);
          seconds.observe(duration);
        },
        onShed() {
          shedRequests.inc();
        },
        onScored(probabilities) {
          for (let i = 1; i < probabilities.length; i += 2) probability.observe(probabilities[i] as number);
        },
        onCacheResult(result, count) {
          cacheRequests.inc({ model, result }, count);
        },
      };
    },
    watchQueues(read) {
      readQueues = read;
    },
  };
}

/** The series of one route; its requests by method and status. */
interface RouteSeries {
  seconds: Series;
  methods: Map<string, Map<number, Counter.Internal>>;
}

function remember<Key, T>(known: Map<Key, T>, key: Key, make: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}
