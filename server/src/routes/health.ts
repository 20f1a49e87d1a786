import { Router } from 'express';
import { open, route } from '../http/routing.ts';
import { sendJson } from '../http/send.ts';
import type { Readiness } from '../readiness.ts';

/**
 * Probes. `/livez` says that the process answers at all, also while models load: a probe that failed then would kill a
 * server with a large model before it could ever be ready. `/readyz` says whether to send it requests.
 */
export function healthRoutes(readiness: Readiness): Router {
  const router = Router();
  route(router, '/healthcheck', open, { get: (_request, response) => sendJson(response, 200, { status: 'Working' }) });
  route(router, '/livez', open, { get: (_request, response) => sendJson(response, 200, { status: 'alive' }) });
  route(router, '/readyz', open, {
    get: (_request, response) => {
      const { reason } = readiness;
      if (reason === undefined) sendJson(response, 200, { status: 'ready' });
      else sendJson(response, 503, { status: 'not ready', reason });
    },
  });
  return router;
}
