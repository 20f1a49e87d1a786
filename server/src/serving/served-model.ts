import type { Model } from '@riskmodel/core/model/model.ts';
import { parseDuration } from '@riskmodel/core/riskmodel/duration.ts';
import { Batcher } from '../scoring/batcher.ts';
import { PredictionCache, type CacheRedis } from '../scoring/prediction-cache.ts';
import { Scorer } from '../scoring/scorer.ts';
import type { ServerMetrics } from '../telemetry/metrics.ts';

/** A model with what requests need of it. */
export interface ServedModel {
  readonly model: Model;
  readonly scorer: Scorer;
  /** One row, for a request to encode its record in; free again as soon as `scorer.score` has returned its promise. */
  readonly row: Float32Array;
}

/** Puts the batcher, the cache (when the manifest asks for one and there is a Redis) and the metrics around a model. */
export function serveModel(
  model: Model,
  {
    metrics,
    cache,
    largestQueue,
  }: {
    metrics: ServerMetrics;
    cache?: { redis: CacheRedis; prefix: string } | undefined;
    /** Number of full runs that may wait; the batcher's own limit when absent. */
    largestQueue?: number | undefined;
  },
): ServedModel {
  const { width } = model.encoder;
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
    row: new Float32Array(width),
  };
}
