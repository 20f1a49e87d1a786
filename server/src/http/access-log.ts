import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { Request, RequestHandler, Response } from 'express';
import type { ServerMetrics } from '../telemetry/metrics.ts';
import { openContext } from './request-context.ts';

/** Calls of probes and scrapers, which come every few seconds and say nothing. */
const quietRoutes = new Set(['/livez', '/readyz', '/healthcheck', '/metrics', '/v2/health/live', '/v2/health/ready']);

/**
 * Gives every request its id and, when it is answered, one log line and its place in the metrics. The line has Cloud
 * Logging's `httpRequest`; it has the path but no query string, and nothing of the body.
 * Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest
 *
 * @param options.project the Google Cloud project that traces belong to, where there is one
 */
export function accessLog(options: {
  logger: Logger;
  metrics: Pick<ServerMetrics, 'onRequest'>;
  project?: string | undefined;
}): RequestHandler {
  const { logger, metrics } = options;
  const tracePrefix = options.project === undefined ? '' : `projects/${options.project}/traces/`;
  return (request, response, next) => {
    const started = performance.now();
    const { requestId, trace, spanId } = openContext(request);
    response.setHeader('x-request-id', requestId);
    response.once('close', () => {
      const seconds = (performance.now() - started) / 1_000;
      // 499 is nginx' word for a client that went away before its answer was complete.
      const status = response.writableFinished ? response.statusCode : 499;
      const route = routeOf(request, response);
      metrics.onRequest(route, request.method, status, seconds);
      const level = quietRoutes.has(route) ? 'debug' : status >= 500 ? 'error' : 'info';
      if (!logger.isLevelEnabled(level)) return;
      logger[level](
        {
          httpRequest: {
            requestMethod: request.method,
            requestUrl: pathOf(request),
            status,
            latency: `${seconds.toFixed(6)}s`,
          },
          requestId,
          ...(trace === undefined ? {} : { 'logging.googleapis.com/trace': tracePrefix + trace }),
          ...(spanId === undefined ? {} : { 'logging.googleapis.com/spanId': spanId }),
        },
        `${request.method} ${route} ${status}`,
      );
    });
    next();
  };
}

/** A route that is not one of Express' own, such as a folder of files, says here what it is to be counted as. */
export function countAs(response: Response, route: string): void {
  response.locals['route'] = route;
}

const patterns = new Map<string, string>();

/** The route's pattern as OpenAPI writes it, such as /batches/{id}; `other` for a path that there is no route for. */
function routeOf(request: Request, response: Response): string {
  const named: unknown = response.locals['route'];
  if (typeof named === 'string') return named;
  const path: unknown = (request.route as { path?: unknown } | undefined)?.path;
  if (typeof path !== 'string') return 'other';
  let pattern = patterns.get(path);
  if (pattern === undefined) {
    pattern = path.replaceAll(/(?<!\\):(\w+)/g, '{$1}').replaceAll('\\', '');
    patterns.set(path, pattern);
  }
  return pattern;
}

function pathOf(request: Request): string {
  const { originalUrl } = request;
  const query = originalUrl.indexOf('?');
  return (query === -1 ? originalUrl : originalUrl.slice(0, query)).slice(0, 1_024);
}
