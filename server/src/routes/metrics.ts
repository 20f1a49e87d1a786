import { Router } from 'express';
import { open, route } from '../http/routing.ts';
import type { ServerMetrics } from '../telemetry/metrics.ts';

/** `GET /metrics` in Prometheus' text format. */
export function metricsRoutes({ registry }: ServerMetrics): Router {
  const router = Router();
  route(router, '/metrics', open, {
    get: async (_request, response) => {
      const text = await registry.metrics();
      response.setHeader('Content-Type', registry.contentType);
      response.end(text);
    },
  });
  return router;
}
