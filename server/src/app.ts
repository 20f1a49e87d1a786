import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import express, { type Express } from 'express';
import type { BatchService } from './batches/batch-service.ts';
import { accessLog } from './http/access-log.ts';
import { errorHandler } from './http/error-handler.ts';
import { HttpError } from './http/http-error.ts';
import { makeOpenApiDocument } from './openapi/document.ts';
import type { Readiness } from './readiness.ts';
import { batchRoutes } from './routes/batches.ts';
import { docsRoutes } from './routes/docs.ts';
import { healthRoutes } from './routes/health.ts';
import { landingRoutes } from './routes/landing.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { openInferenceLiveness, openInferenceRoutes } from './routes/open-inference.ts';
import { riskPredictionRoutes } from './routes/risk-prediction.ts';
import { v1PredictRoutes } from './routes/v1-predict.ts';
import type { ServedModels } from './serving/served-models.ts';
import type { ServerMetrics } from './telemetry/metrics.ts';

/** What the app needs from outside while the models are still loading. */
export interface BaseDeps {
  readiness: Readiness;
  logger: Logger;
  metrics: ServerMetrics;
  /** The Google Cloud project that traces in the logs belong to. */
  project?: string | undefined;
}

/** What the app needs from outside. */
export interface AppDeps extends BaseDeps {
  models: ServedModels;
  batches: BatchService;
  /** Bytes of a request's body at most. */
  bodyLimit: number;
  /** The server's version. */
  version: string;
  /** Aborted when answers can't be waited for any longer. */
  closing: AbortSignal;
}

/** The app that answers every call; it does not listen. */
export function makeApp(deps: AppDeps): Express {
  const { models, readiness, logger, metrics } = deps;
  const app = baseApp(deps);
  app.use(riskPredictionRoutes(deps));
  app.use(v1PredictRoutes(deps));
  app.use(openInferenceLiveness());
  app.use(openInferenceRoutes(deps));
  // The errors of the two inference protocols have another shape than everyone else's.
  app.use(['/v1', '/v2'], notFound, errorHandler(logger, 'error', 'Internal prediction error'));
  app.use(healthRoutes(readiness));
  app.use(batchRoutes(deps));
  app.use(landingRoutes(models));
  app.use(docsRoutes(makeOpenApiDocument(models, deps.version)));
  app.use(metricsRoutes(metrics));
  app.use(notFound, errorHandler(logger));
  return app;
}

/** The app that stands in while the models are loading: probes and metrics, and 503 for everything else. */
export function makeLoadingApp(deps: BaseDeps): Express {
  const { readiness, logger, metrics } = deps;
  const app = baseApp(deps);
  app.use(healthRoutes(readiness));
  app.use(openInferenceLiveness());
  app.use(metricsRoutes(metrics));
  app.use(() => {
    throw new HttpError(503, `not ready: ${readiness.reason ?? 'starting'}`, { headers: { 'Retry-After': '1' } });
  });
  app.use(['/v1', '/v2'], errorHandler(logger, 'error'));
  app.use(errorHandler(logger));
  return app;
}

function baseApp({ logger, metrics, project }: BaseDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('trust proxy', false);
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.use(accessLog({ logger, metrics, project }));
  app.use((_request, response, next) => {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    // Answers are about people: no proxy or browser keeps them. Files of the documentation say otherwise themselves.
    response.setHeader('Cache-Control', 'no-store');
    next();
  });
  return app;
}

function notFound(): never {
  throw new HttpError(404, 'Not Found');
}
