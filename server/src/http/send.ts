import type { IncomingMessage, ServerResponse } from 'node:http';
import { requestIdOf } from './request-context.ts';

/** What a call is answered with when all went well: a text that is JSON, or other content with headers of its own. */
export type Answer = string | { headers: Readonly<Record<string, string | number>>; parts: readonly Uint8Array[] };

const jsonType = 'application/json; charset=utf-8';

/** Answers are about people: no proxy or browser keeps them. Files of the documentation say otherwise themselves. */
const fixedHeaders = { 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' } as const;
const fixedHeaderLines = Object.entries(fixedHeaders).flat();

/** Sets the headers that every answer has. */
export function setCommonHeaders(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('X-Request-Id', requestIdOf(request));
  for (const [name, value] of Object.entries(fixedHeaders)) response.setHeader(name, value);
}

/**
 * Answers a text that is JSON with 200 and the headers that every answer has, none of which must be set yet. Node writes a
 * head that it gets in one piece in a fraction of the time of one that is set header by header.
 */
export function answerJsonAtOnce(requestId: string, response: ServerResponse, text: string): void {
  const length = Buffer.byteLength(text);
  response.writeHead(200, [
    'X-Request-Id',
    requestId,
    ...fixedHeaderLines,
    'Content-Type',
    jsonType,
    'Content-Length',
    String(length),
  ]);
  // What is ASCII is the same in both, and cheaper to write in the one that needs no encoding.
  response.end(text, length === text.length ? 'latin1' : 'utf8');
}

/** Answers what a call has come to. */
export function sendAnswer(response: ServerResponse, answer: Answer): void {
  if (typeof answer === 'string') {
    sendJsonText(response, 200, answer);
    return;
  }
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  response.setHeader(
    'Content-Length',
    answer.parts.reduce((total, { byteLength }) => total + byteLength, 0),
  );
  for (const part of answer.parts) response.write(part);
  response.end();
}

/** Answers JSON. Express' own `res.json` looks for settings and ETags that are off here. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendJsonText(response, status, JSON.stringify(value));
}

/** Answers a text that is JSON already. */
export function sendJsonText(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', jsonType);
  response.setHeader('Content-Length', Buffer.byteLength(text));
  response.end(text);
}

/** Answers a page of the server's own making. Nothing in it may come from elsewhere. */
export function sendHtml(response: ServerResponse, html: string): void {
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.setHeader('Content-Security-Policy', pagePolicy);
  response.end(html);
}

/** Swagger UI sets styles on elements and has its icons in data: URLs; scripts come from files of this server only. */
const pagePolicy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
