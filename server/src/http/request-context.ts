import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What a request is known by in logs: its id, and the trace it belongs to when a proxy or client named one. */
export interface RequestContext {
  requestId: string;
  trace?: string;
  spanId?: string;
}

const contexts = new WeakMap<IncomingMessage, RequestContext>();

/** Ids that are safe to repeat in a header and a log line. */
const safeId = /^[\w.:/+=-]{1,128}$/;

/** Reads `x-request-id` (or makes one) and the W3C or Google Cloud trace header, and keeps them with the request. */
export function openContext(request: IncomingMessage): RequestContext {
  const context = { requestId: requestId(request), ...traceOf(request) };
  contexts.set(request, context);
  return context;
}

/** The id of a request that passed `openContext`. */
export function requestIdOf(request: IncomingMessage): string | undefined {
  return contexts.get(request)?.requestId;
}

function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && safeId.test(given) ? given : randomUUID();
}

function traceOf({ headers }: IncomingMessage): { trace?: string; spanId?: string } {
  const parent = headers['traceparent'];
  if (typeof parent === 'string') {
    const [, trace, spanId] = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}/.exec(parent) ?? [];
    if (trace !== undefined && spanId !== undefined) return { trace, spanId };
  }
  const cloud = headers['x-cloud-trace-context'];
  if (typeof cloud === 'string') {
    const [, trace] = /^([\da-f]{32})(?:\/\d+)?(?:;o=\d)?$/.exec(cloud) ?? [];
    if (trace !== undefined) return { trace };
  }
  return {};
}
