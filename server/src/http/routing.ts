import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IRouter, RequestHandler } from 'express';
import { HttpError } from './http-error.ts';

/** Who may take a route: throws, or rejects, for those who may not. */
export type Access = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Everybody may. */
export const open: Access = () => {};

type Method = 'get' | 'post' | 'delete';

/**
 * Adds a path's handlers; every other method answers 405 with the methods that there are. `access` is asked first: a
 * guard's `online` or `batch`, or `open` for what tells nothing about applicants and changes nothing.
 */
export function route(
  router: IRouter,
  path: string,
  access: Access,
  handlers: Partial<Record<Method, RequestHandler>>,
): void {
  const at = router.route(path);
  if (access !== open) at.all(asHandler(access));
  for (const [method, handler] of Object.entries(handlers)) at[method as Method](handler);
  const allow = Object.keys(handlers).flatMap((method) =>
    method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
  );
  at.all(() => {
    throw new HttpError(405, 'Method Not Allowed', { headers: { Allow: allow.join(', ') } });
  });
}

function asHandler(access: Access): RequestHandler {
  return async (request, response, next) => {
    await access(request, response);
    // A client that has gone meanwhile would be waited for in vain.
    if (!response.destroyed) next();
  };
}
