import type { Guard } from '../auth/guard.ts';
import { schemaRef } from './operations.ts';

type Operation = { tags?: string[]; responses: Record<string, unknown>; security?: unknown };
type Paths = Record<string, Record<string, unknown>>;

/** What everybody may call. */
const openPath = /^\/(?:healthcheck|livez|readyz|metrics|v2\/health\/(?:live|ready))$/;

const schemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key, or an OIDC token such as a Google ID token of a service account.',
  },
  apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'An API key.' },
};

/** What the document says of those who call: nothing where nobody is asked and nothing is counted. */
export function describeSecurity(guard: Pick<Guard, 'methods' | 'limited'>): {
  securitySchemes?: Record<string, unknown>;
  security?: Record<string, never[]>[];
} {
  if (guard.methods.length === 0) return {};
  const names = guard.methods.includes('api-key') ? (['bearer', 'apiKey'] as const) : (['bearer'] as const);
  return {
    securitySchemes: Object.fromEntries(names.map((name) => [name, schemes[name]])),
    security: names.map((name) => ({ [name]: [] })),
  };
}

/** Adds what a guard may answer to the calls that it stands before, and says of the others that they are open. */
export function addSecurity(paths: Paths, { methods, limited }: Pick<Guard, 'methods' | 'limited'>): Paths {
  const asks = methods.length > 0;
  if (!asks && limited.length === 0) return paths;
  return mapOperations(paths, (path, method, operation) => {
    if (openPath.test(path)) return asks ? { ...operation, security: [] } : operation;
    const error = schemaRef(/^\/v[12](?:\/|$)/.test(path) ? 'ProtocolError' : 'Detail');
    const isLimited = method === 'post' && limited.includes(operation.tags?.includes('Batches') ? 'batch' : 'online');
    return {
      ...operation,
      responses: {
        ...operation.responses,
        ...(asks && {
          401: answer('The caller is not known; the reason is not told.', error, ['WWW-Authenticate']),
          403: answer('The caller may not do this.', error),
        }),
        ...(isLimited && {
          429: answer('The caller has sent too many requests.', error, [
            'Retry-After',
            'RateLimit',
            'RateLimit-Policy',
          ]),
        }),
      },
    };
  });
}

function mapOperations(
  paths: Paths,
  change: (path: string, method: string, operation: Operation) => Operation,
): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(paths).map(([path, operations]) => [
      path,
      Object.fromEntries(
        Object.entries(operations).map(([method, operation]) => [method, change(path, method, operation as Operation)]),
      ),
    ]),
  );
}

function answer(description: string, schema: unknown, headers: string[] = []): unknown {
  return {
    description,
    ...(headers.length > 0 && {
      headers: Object.fromEntries(headers.map((name) => [name, { schema: { type: 'string' } }])),
    }),
    content: { 'application/json': { schema } },
  };
}
