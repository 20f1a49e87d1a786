import type { IncomingMessage, RequestListener } from 'node:http';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import express, { type Express } from 'express';
import type { AuditLog } from './auth/audit-log.ts';
import type { Guard } from './auth/guard.ts';
import type { BatchService } from './batches/batch-service.ts';
import { hotPath, type HotCall } from './hot-path.ts';
import { makeAccessLog } from './http/access-log.ts';
import { detailShape, errorHandler, inferenceShape, makeErrorAnswer } from './http/error-handler.ts';
import { HttpError } from './http/http-error.ts';
import { setCommonHeaders } from './http/send.ts';
import type { PredictionLookup } from './lookup/prediction-lookup.ts';
import { makeOpenApiDocument } from './openapi/document.ts';
import type { Readiness } from './readiness.ts';
import { batchRoutes } from './routes/batches.ts';
import { docsRoutes } from './routes/docs.ts';
import { healthRoutes } from './routes/health.ts';
import { landingRoutes } from './routes/landing.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { notificationRoutes } from './routes/notifications.ts';
import { infer, openInferenceLiveness, openInferenceRoutes } from './routes/open-inference.ts';
import { predictionRoutes } from './routes/predictions.ts';
import { predictOnline, riskPredictionRoutes } from './routes/risk-prediction.ts';
import { predict, v1PredictRoutes } from './routes/v1-predict.ts';
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
  predictions: PredictionLookup;
  /** Asks callers who they are. */
  guard: Guard;
  audit: AuditLog;
  /** Bytes of a request's body at most. */
  bodyLimit: number;
  /** The server's version. */
  version: string;
  /** Aborted when answers can't be waited for any longer. */
  closing: AbortSignal;
}

/** Answers every call: the log and the metrics, then the hot path, then the app. */
export function makeHandler(deps: AppDeps): RequestListener {
  return observed(deps, hotPath(hotCalls(deps), makeApp(deps)));
}

/** Stands in while the models are loading: probes and metrics, and 503 for everything else. */
export function makeLoadingHandler(deps: BaseDeps): RequestListener {
  return observed(deps, makeLoadingApp(deps));
}

function observed(deps: BaseDeps, handler: RequestListener): RequestListener {
  const observe = makeAccessLog(deps);
  return (request, response) => {
    observe(request, response);
    handler(request, response);
  };
}

/** The calls that predict, for every model; what Express would make of another spelling of their paths is its own. */
function hotCalls(deps: AppDeps): Map<string, HotCall> {
  const { models, logger } = deps;
  const access = deps.guard.online;
  const onError = makeErrorAnswer(logger, inferenceShape);
  const calls = new Map<string, HotCall>();
  calls.set('/risk-online-prediction', {
    route: '/risk-online-prediction',
    access,
    answer: (request) => predictOnline(deps, request),
    onError: makeErrorAnswer(logger, detailShape),
  });
  for (const served of models) {
    const { name, version } = served.model;
    const inference = { access, answer: (request: IncomingMessage) => infer(deps, served, request), onError };
    calls.set(`/v1/models/${name}:predict`, {
      route: '/v1/models/{model}:predict',
      access,
      answer: (request) => predict(deps, served, request),
      onError,
    });
    calls.set(`/v2/models/${name}/infer`, { route: '/v2/models/{model}/infer', ...inference });
    calls.set(`/v2/models/${name}/versions/${version}/infer`, {
      route: '/v2/models/{model}/versions/{version}/infer',
      ...inference,
    });
  }
  return calls;
}

/** The app that can answer every call, the hot ones included. */
export function makeApp(deps: AppDeps): Express {
  const { models, readiness, logger, metrics } = deps;
  const app = baseApp();
  app.use(riskPredictionRoutes(deps));
  app.use(v1PredictRoutes(deps));
  app.use(openInferenceLiveness());
  app.use(openInferenceRoutes(deps));
  // The errors of the two inference protocols have another shape than everyone else's.
  app.use(['/v1', '/v2'], notFound, errorHandler(logger, inferenceShape));
  app.use(healthRoutes(readiness));
  app.use(batchRoutes(deps));
  app.use(notificationRoutes(deps));
  app.use(predictionRoutes(deps));
  app.use(landingRoutes(models));
  app.use(docsRoutes(makeOpenApiDocument(models, deps.version, deps.guard)));
  app.use(metricsRoutes(metrics));
  app.use(notFound, errorHandler(logger));
  return app;
}

function makeLoadingApp({ readiness, logger, metrics }: BaseDeps): Express {
  const app = baseApp();
  app.use(healthRoutes(readiness));
  app.use(openInferenceLiveness());
  app.use(metricsRoutes(metrics));
  app.use(() => {
    throw new HttpError(503, `not ready: ${readiness.reason ?? 'starting'}`, { headers: { 'Retry-After': '1' } });
  });
  app.use(['/v1', '/v2'], errorHandler(logger, inferenceShape));
  app.use(errorHandler(logger));
  return app;
}

function baseApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('trust proxy', false);
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.use((request, response, next) => {
    setCommonHeaders(request, response);
    next();
  });
  return app;
}

function notFound(): never {
  throw new HttpError(404, 'Not Found');
}
