import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { ErrorRequestHandler } from 'express';
import { Overloaded } from '../scoring/batcher.ts';
import { HttpError } from './http-error.ts';
import { requestIdOf } from './request-context.ts';
import { sendJson } from './send.ts';

/** The statuses of errors that core throws at a client's doing. */
const statusOfCode: Readonly<Record<string, number>> = {
  InvalidUri: 422,
  InvalidNotification: 422,
  IdempotencyKeyReused: 409,
  NotFound: 404,
};

/** Answers what went wrong; where the head of another answer is on its way already, the connection is cut off. */
export type ErrorAnswer = (error: unknown, request: IncomingMessage, response: ServerResponse) => void;

/** How errors are answered. */
export interface ErrorShape {
  /** The field of the body: `{"detail": ...}`, or `{"error": ...}` where the protocol wants that. */
  field: 'detail' | 'error';
  /** What is said of what nobody foresaw. */
  unforeseen: string;
}

export const detailShape: ErrorShape = { field: 'detail', unforeseen: 'Internal Server Error' };

/** Of the two inference protocols. */
export const inferenceShape: ErrorShape = { field: 'error', unforeseen: 'Internal prediction error' };

/**
 * Writes what a route threw. What nobody foresaw is logged and answered with 500; a client never sees an error that was
 * not written for it.
 */
export function makeErrorAnswer(logger: Logger, { field, unforeseen }: ErrorShape): ErrorAnswer {
  return (error, request, response) => {
    const answer = toHttpError(error) ?? new HttpError(500, unforeseen);
    // Of requests turned away there are many at a time; the access log and the metrics have them.
    if (answer.status >= 500 && !(error instanceof Overloaded)) {
      const level = answer.status === 503 ? 'warn' : 'error';
      logger[level]({ err: answer.cause ?? error, requestId: requestIdOf(request) }, `answering ${answer.status}`);
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
    sendJson(response, answer.status, { [field]: answer.detail });
  };
}

/** An error answer for the routes before it. */
export function errorHandler(logger: Logger, shape: ErrorShape = detailShape): ErrorRequestHandler {
  const answer = makeErrorAnswer(logger, shape);
  // Express knows a handler of errors by its four parameters.
  return (error: unknown, request, response, _next) => answer(error, request, response);
}

/** The status that the error is answered with. */
export function statusOf(error: unknown): number {
  return toHttpError(error)?.status ?? 500;
}

function toHttpError(error: unknown): HttpError | undefined {
  if (error instanceof HttpError) return error;
  if (error instanceof RiskModelError) {
    const status = error.retry === 'later' ? 503 : statusOfCode[error.code];
    if (status === undefined) return undefined;
    return new HttpError(status, error.message, {
      headers: status === 503 ? { 'Retry-After': error instanceof Overloaded ? '1' : '5' } : {},
      cause: error.cause ?? error,
    });
  }
  // Express' own, such as a path that is no valid percent-encoding.
  const { status } = (error ?? {}) as { status?: unknown };
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined;
  return new HttpError(status, STATUS_CODES[status]);
}
