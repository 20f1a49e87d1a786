import type { IncomingMessage, ServerResponse } from 'node:http';
import { infoLines, type Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { ServerMetrics } from '../telemetry/metrics.ts';
import { openContext, type RequestContext } from './request-context.ts';

/** Calls of probes and scrapers, which come every few seconds and say nothing. */
const quietRoutes = new Set(['/livez', '/readyz', '/healthcheck', '/metrics', '/v2/health/live', '/v2/health/ready']);

/** To be called with every request, before anything else is done with it. */
export type AccessLog = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Gives every request its id and, when it is answered, one log line and its place in the metrics. The line has Cloud
 * Logging's `httpRequest`; it has the path but no query string, and nothing of the body.
 * Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest
 *
 * @param options.project the Google Cloud project that traces belong to, where there is one
 */
export function makeAccessLog(options: {
  logger: Logger;
  metrics: Pick<ServerMetrics, 'onRequest'>;
  project?: string | undefined;
}): AccessLog {
  const { logger, metrics } = options;
  const tracePrefix = options.project === undefined ? '' : `projects/${options.project}/traces/`;
  const writeInfo = infoLines(logger);
  const pathText = rememberLast((url: string) => JSON.stringify(pathOf(url)));
  return (request, response) => {
    const context = openContext(request);
    // Which comes once; a listener for one time would be wrapped, and taken off again.
    response.on('close', () => {
      const seconds = (performance.now() - context.started) / 1_000;
      // 499 is nginx' word for a client that went away before its answer was complete.
      const status = response.writableFinished ? response.statusCode : 499;
      const route = routeOf(request, context);
      const method = request.method ?? 'GET';
      metrics.onRequest(route, method, status, seconds);
      const level = quietRoutes.has(route) ? 'debug' : status >= 500 ? 'error' : 'info';
      if (!logger.isLevelEnabled(level)) return;
      const { requestId, trace, spanId, fields } = context;
      // Express cuts off of `url` what leads to a router.
      const url = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '';
      const message = `${method} ${route} ${status}`;
      const latency = `${seconds.toFixed(6)}s`;
      if (level === 'info' && trace === undefined && fields === undefined) {
        // The line of nearly every request. An id has no character that JSON would escape, nor has a method or a route.
        const http = `{"requestMethod":"${method}","requestUrl":${pathText(url)},"status":${status},"latency":"${latency}"}`;
        writeInfo(`"httpRequest":${http},"requestId":"${requestId}"`, `"${message}"`);
        return;
      }
      logger[level](
        {
          httpRequest: { requestMethod: method, requestUrl: pathOf(url), status, latency },
          requestId,
          ...(trace === undefined ? {} : { 'logging.googleapis.com/trace': tracePrefix + trace }),
          ...(spanId === undefined ? {} : { 'logging.googleapis.com/spanId': spanId }),
          ...fields,
        },
        message,
      );
    });
  };
}

/** At thousands of requests a second most are for the same as the one before. */
function rememberLast(make: (text: string) => string): (text: string) => string {
  let last: string | undefined;
  let made = '';
  return (text) => {
    if (text !== last) [last, made] = [text, make(text)];
    return made;
  };
}

const patterns = new Map<string, string>();

/** The route's pattern as OpenAPI writes it, such as /batches/{id}; `other` for a path that there is no route for. */
function routeOf(request: IncomingMessage, context: RequestContext): string {
  if (context.route !== undefined) return context.route;
  const path: unknown = (request as { route?: { path?: unknown } }).route?.path;
  if (typeof path !== 'string') return 'other';
  let pattern = patterns.get(path);
  if (pattern === undefined) {
    pattern = path.replaceAll(/(?<!\\):(\w+)/g, '{$1}').replaceAll('\\', '');
    patterns.set(path, pattern);
  }
  return pattern;
}

/** Paths that go on with a person's identifier, which no log may have. */
const personalPath = /^\/predictions\/.*/;

function pathOf(url: string): string {
  const query = url.indexOf('?');
  const path = (query === -1 ? url : url.slice(0, query)).slice(0, 1_024);
  return path.replace(personalPath, '/predictions/{id}');
}
