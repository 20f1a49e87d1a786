import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What a request is known by in logs and metrics. */
export interface RequestContext {
  requestId: string;
  /** `performance.now()` when its head had come. */
  started: number;
  /** The trace it belongs to, when a proxy or client named one. */
  trace?: string;
  spanId?: string;
  /** The pattern that it is counted by, where that is not the path of Express' route. */
  route?: string;
  /** More fields for its log line. They hold neither secrets nor anything of the body. */
  fields?: Record<string, string>;
}

/** A property of the request, and no WeakMap: at thousands of requests a second, those cost the collector dearly. */
const contextKey = Symbol('context');

interface WithContext {
  [contextKey]?: RequestContext;
}

/** Ids that are safe to repeat in a header and a log line. */
const safeId = /^[\w.:/+=-]{1,128}$/;

/** Reads `x-request-id` (or makes one) and the W3C or Google Cloud trace header, and keeps them with the request. */
export function openContext(request: IncomingMessage): RequestContext {
  const context: RequestContext = { requestId: requestId(request), started: performance.now() };
  addTrace(context, request);
  (request as WithContext)[contextKey] = context;
  return context;
}

/** The context of a request that passed `openContext`. */
export function contextOf(request: IncomingMessage): RequestContext {
  return (request as WithContext)[contextKey] ?? openContext(request);
}

/** The id of a request, as its answer and its log lines have it. */
export function requestIdOf(request: IncomingMessage): string {
  return contextOf(request).requestId;
}

/** A route that is not one of Express' own, such as a folder of files, says here what it is to be counted as. */
export function countAs(request: IncomingMessage, route: string): void {
  contextOf(request).route = route;
}

/** Adds fields to the request's line. They must hold neither secrets nor anything of the body. */
export function noteInLog(request: IncomingMessage, fields: Record<string, string>): void {
  const context = contextOf(request);
  context.fields = { ...context.fields, ...fields };
}

function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && safeId.test(given) ? given : randomUUID();
}

function addTrace(context: RequestContext, { headers }: IncomingMessage): void {
  const parent = headers['traceparent'];
  if (typeof parent === 'string') {
    const [, trace, spanId] = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}/.exec(parent) ?? [];
    if (trace !== undefined && spanId !== undefined) {
      context.trace = trace;
      context.spanId = spanId;
      return;
    }
  }
  const cloud = headers['x-cloud-trace-context'];
  if (typeof cloud !== 'string') return;
  const [, trace] = /^([\da-f]{32})(?:\/\d+)?(?:;o=\d)?$/.exec(cloud) ?? [];
  if (trace !== undefined) context.trace = trace;
}
