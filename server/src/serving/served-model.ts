import type { Model } from '@riskmodel/core/model/model.ts';
import { FeatureTable, featureKeyPrefix } from '@riskmodel/core/lookup/feature-table.ts';
import { parseDuration } from '@riskmodel/core/riskmodel/duration.ts';
import type { Redis } from 'ioredis';
import { FeatureStore } from '../features/feature-store.ts';
import { modelInputs, type ModelInputs } from '../open-inference/inference-request.ts';
import { answerTexts, type AnswerTexts } from '../open-inference/inference-response.ts';
import { Batcher } from '../scoring/batcher.ts';
import { PredictionCache, type CacheRedis } from '../scoring/prediction-cache.ts';
import { Scorer } from '../scoring/scorer.ts';
import type { ServerMetrics } from '../telemetry/metrics.ts';

/** A model with what requests need of it. */
export interface ServedModel {
  readonly model: Model;
  readonly scorer: Scorer;
  /** What its inference requests are read by. */
  readonly inputs: ModelInputs;
  /** What the answers of those begin with. */
  readonly texts: AnswerTexts;
  /** Where features that a request lacks come from; undefined: a request has them all. */
  readonly features: FeatureStore | undefined;
  /** One row, for a request to encode its record in; free again as soon as `scorer.score` has returned its promise. */
  readonly row: Float32Array;
}

/** Puts the batcher, the cache (when the manifest asks for one and there is a Redis) and the metrics around a model. */
export function serveModel(
  model: Model,
  {
    metrics,
    cache,
    features,
    largestQueue,
  }: {
    metrics: ServerMetrics;
    cache?: { redis: CacheRedis; prefix: string } | undefined;
    /** The Redis of the feature store, for models whose manifest has one. */
    features?: { redis: Redis; prefix: string } | undefined;
    /** Number of full runs that may wait; the batcher's own limit when absent. */
    largestQueue?: number | undefined;
  },
): ServedModel {
  const { width } = model.encoder;
  const row = new Float32Array(width);
  const { onRun, onShed, onScored, onCacheResult } = metrics.forModel(model);
  const ttl = model.manifest.spec.online.cache?.ttl;
  const predictionCache =
    ttl === undefined || cache === undefined
      ? undefined
      : new PredictionCache(cache.redis, {
          prefix: cache.prefix,
          sha256: model.sha256,
          ttl: parseDuration(ttl),
          onResult: onCacheResult,
        });
  const batcher = new Batcher(model.session, {
    width,
    onRun,
    onShed,
    ...(largestQueue !== undefined && { largestQueue }),
  });
  return {
    model,
    scorer: new Scorer(batcher, { width, cache: predictionCache, onScored }),
    inputs: modelInputs(model, row),
    texts: answerTexts(model),
    features: features && openFeatureStore(model, features),
    row,
  };
}

function openFeatureStore(
  { manifest }: Model,
  { redis, prefix }: { redis: Redis; prefix: string },
): FeatureStore | undefined {
  const keyPrefix = featureKeyPrefix(manifest, prefix);
  return keyPrefix === undefined
    ? undefined
    : new FeatureStore(new FeatureTable(redis, keyPrefix), redis, manifest.spec);
}
