import type { IRouter, RequestHandler } from 'express';
import { HttpError } from './http-error.ts';

type Method = 'get' | 'post' | 'delete';

/** Adds a path's handlers; every other method answers 405 with the methods that there are. */
export function route(router: IRouter, path: string, handlers: Partial<Record<Method, RequestHandler>>): void {
  const at = router.route(path);
  for (const [method, handler] of Object.entries(handlers)) at[method as Method](handler);
  const allow = Object.keys(handlers).flatMap((method) =>
    method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
  );
  at.all(() => {
    throw new HttpError(405, 'Method Not Allowed', { headers: { Allow: allow.join(', ') } });
  });
}
