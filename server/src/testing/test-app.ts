import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { uriOf, type FinalizedObject } from '@riskmodel/core/batches/triggers.ts';
import { FeatureEncoder } from '@riskmodel/core/model/features.ts';
import type { Model } from '@riskmodel/core/model/model.ts';
import type { Session } from '@riskmodel/core/model/session.ts';
import type { Feature, RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { StoredPrediction } from '@riskmodel/core/lookup/prediction-entry.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import type { Redis } from 'ioredis';
import { makeHandler, type AppDeps } from '../app.ts';
import { AuditLog } from '../auth/audit-log.ts';
import { makeGuard, type GuardParts } from '../auth/guard.ts';
import type { BatchService } from '../batches/batch-service.ts';
import type { PredictionLookup } from '../lookup/prediction-lookup.ts';
import { Readiness } from '../readiness.ts';
import type { CacheRedis } from '../scoring/prediction-cache.ts';
import { serveModel } from '../serving/served-model.ts';
import { ServedModels } from '../serving/served-models.ts';
import { makeMetrics, type ServerMetrics } from '../telemetry/metrics.ts';

/** A session that counts its runs. prob_1 is the first feature's value over 100, so that rows can be told apart. */
export class StubSession implements Session {
  readonly inputName = 'input';
  readonly outputName = 'probabilities';
  /** The number of rows of each run. */
  readonly runs: number[] = [];
  readonly #width: number;
  /** Set to make runs fail, or wait. */
  beforeRun: (() => Promise<void>) | undefined;

  constructor(width: number) {
    this.#width = width;
  }

  async run(matrix: Float32Array, rows: number): Promise<Float32Array> {
    this.runs.push(rows);
    const probabilities = new Float32Array(rows * 2);
    for (let row = 0; row < rows; row++) {
      const one = Math.fround((matrix[row * this.#width] as number) / 100);
      probabilities[row * 2] = Math.fround(1 - one);
      probabilities[row * 2 + 1] = one;
    }
    await this.beforeRun?.();
    return probabilities;
  }

  async release(): Promise<void> {}
}

/** Four features, one of each type and rule. */
export const someFeatures: Feature[] = [
  { name: 'AGE', type: 'Integer', minimum: 18, maximum: 99, whenMissing: 'Reject' },
  { name: 'SEX', type: 'Categorical', codes: [1, 2], whenMissing: 'Reject' },
  { name: 'INCOME', type: 'Number', whenMissing: 'Default', default: 1000, description: 'a <month>' },
  { name: 'OWNER', type: 'Boolean', whenMissing: 'NaN' },
];

export function makeModel(
  name: string,
  session: Session,
  options: { features?: Feature[]; version?: string; cacheTtl?: string; hasFeatureStore?: boolean } = {},
): Model {
  const features = options.features ?? someFeatures;
  const version = options.version ?? '1';
  const manifest: RiskModel = {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name },
    spec: {
      artifact: { uri: 'gs://models/m.onnx', format: 'ONNX', version },
      features,
      identifier: 'customer_id',
      target: 'target',
      decision: { threshold: 0.25 },
      online: {
        replicas: { min: 1, max: 1 },
        ...(options.hasFeatureStore && { features: { redis: {} } }),
        ...(options.cacheTtl === undefined ? {} : { cache: { ttl: options.cacheTtl } }),
      },
    } as unknown as RiskModel['spec'],
  };
  return { name, version, sha256: 'ab'.repeat(32), manifest, encoder: new FeatureEncoder(features), session };
}

/** Batches in memory. Tests change what is in `batches`. */
export class StubBatches implements BatchService {
  readonly batches = new Map<string, Batch>();
  readonly inputs = new Set<string>();

  async inputExists(uri: string): Promise<boolean> {
    return this.inputs.has(uri);
  }

  async submit({ model, input, idempotencyKey }: Parameters<BatchService['submit']>[0]): Promise<Batch> {
    const id = idempotencyKey ?? `batch-${this.batches.size + 1}`;
    const batch = this.batches.get(id) ?? makeBatch(id, { model, input });
    this.batches.set(id, batch);
    return batch;
  }

  /** What objects start, by their address. */
  readonly triggered = new Map<string, Batch[]>();

  async startTriggered(object: FinalizedObject): Promise<Batch[]> {
    return this.triggered.get(uriOf(object)) ?? [];
  }

  async get(id: string): Promise<Batch | undefined> {
    return this.batches.get(id);
  }

  async list({ model, limit }: { model?: string; limit: number }): Promise<Batch[]> {
    return [...this.batches.values()].filter((batch) => model === undefined || batch.model === model).slice(0, limit);
  }

  async cancel(id: string): Promise<Batch | undefined> {
    const batch = this.batches.get(id);
    if (batch?.state === 'queued') this.batches.set(id, { ...batch, state: 'cancelled' });
    return this.batches.get(id);
  }
}

export function makeBatch(id: string, fields: Partial<Batch> = {}): Batch {
  return {
    id,
    model: 'credit',
    input: 'gs://bucket/file.json',
    state: 'queued',
    rows: { total: null, done: 0, failed: 0 },
    createdAt: '2026-01-01T00:00:00.000Z',
    startedAt: null,
    finishedAt: null,
    output: { results: null, metrics: null, rejects: null },
    ...fields,
  };
}

/** Predictions in memory, by model and identifier. */
export class StubPredictions implements PredictionLookup {
  readonly stored = new Map<string, StoredPrediction>();

  async get(model: string, id: string): Promise<StoredPrediction | undefined> {
    return this.stored.get(`${model} ${id}`);
  }
}

export interface TestApp {
  url: string;
  server: Server;
  readiness: Readiness;
  batches: StubBatches;
  predictions: StubPredictions;
  metrics: ServerMetrics;
  /** Everything that was logged, one object a line. */
  logs: Record<string, unknown>[];
  closing: AbortController;
  get(path: string): Promise<{ status: number; body: unknown }>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

/** The app, listening at a free port of this machine, with nothing real behind it but what is passed in. */
export async function startTestApp(options: {
  models: Model[];
  defaultModel?: string;
  cacheRedis?: CacheRedis;
  /** The Redis of the feature store; its keys begin with `test:features:MODEL:`. */
  featuresRedis?: Redis;
  batches?: StubBatches;
  bodyLimit?: number;
  largestQueue?: number;
  /** What the guard judges by; without, everybody may do everything. */
  guard?: Pick<GuardParts, 'apiKeys' | 'idTokens' | 'limiters'>;
  /** What answers; the whole server's handler when absent. */
  handler?: (deps: AppDeps) => RequestListener;
}): Promise<TestApp> {
  const logs: Record<string, unknown>[] = [];
  const logger = makeLogger('server', 'debug', {
    write: (line: string) => void logs.push(JSON.parse(line) as Record<string, unknown>),
  });
  const metrics = makeMetrics({ processMetrics: false });
  const readiness = new Readiness();
  readiness.markReady();
  const batches = options.batches ?? new StubBatches();
  const predictions = new StubPredictions();
  const closing = new AbortController();
  const cache = options.cacheRedis === undefined ? undefined : { redis: options.cacheRedis, prefix: 'test' };
  const features = options.featuresRedis && { redis: options.featuresRedis, prefix: 'test' };
  const models = new ServedModels(
    options.models.map((model) => serveModel(model, { metrics, cache, features, largestQueue: options.largestQueue })),
    options.defaultModel,
  );
  const bodyLimit = options.bodyLimit ?? 16 << 20;
  const audit = new AuditLog(logger);
  const guard = makeGuard({ ...options.guard, audit, onOutcome: (role, outcome) => metrics.onAccess(role, outcome) });
  const server = createServer(
    (options.handler ?? makeHandler)({
      models,
      readiness,
      logger,
      metrics,
      batches,
      predictions,
      guard,
      audit,
      bodyLimit,
      version: '0.0.0',
      closing: closing.signal,
    }),
  );
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    server,
    readiness,
    batches,
    predictions,
    metrics,
    logs,
    closing,
    get: async (path) => {
      const response = await fetch(url + path);
      return { status: response.status, body: await response.json() };
    },
    post: (path, body, headers = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
      }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
