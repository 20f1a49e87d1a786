import type { IncomingMessage } from 'node:http';
import { isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { Problem } from '@riskmodel/core/model/features.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import { Router, type Request, type Response } from 'express';
import type { AuditLog } from '../auth/audit-log.ts';
import type { Guard } from '../auth/guard.ts';
import type { BatchService } from '../batches/batch-service.ts';
import { readJson } from '../http/body.ts';
import { HttpError, isObject, notAnObject, unprocessable, type FieldProblem } from '../http/http-error.ts';
import { requestIdOf } from '../http/request-context.ts';
import { route } from '../http/routing.ts';
import { sendAnswer, sendJson, type Answer } from '../http/send.ts';
import { inputError } from '../batches/input-error.ts';
import { Overloaded } from '../scoring/batcher.ts';
import type { ServedModels } from '../serving/served-models.ts';
import { acceptBatch } from './batches.ts';

interface Deps {
  models: ServedModels;
  batches: BatchService;
  guard: Guard;
  audit: AuditLog;
  logger: Logger;
  bodyLimit: number;
  /** Aborted when the server can't wait for batches any longer, because it is going away. */
  closing: AbortSignal;
}

/** The two endpoints of the service that this one replaces, with its shapes, both for the default model. */
export function riskPredictionRoutes(deps: Deps): Router {
  const router = Router();
  const { online, batch } = deps.guard;
  route(router, '/risk-online-prediction', online, {
    post: async (request, response) => sendAnswer(response, await predictOnline(deps, request)),
  });
  route(router, '/risk-batch-prediction', batch, {
    post: (request, response) => predictBatch(deps, request, response),
  });
  return router;
}

/** `POST /risk-online-prediction`: the probabilities of the record in the body, by the default model. */
export async function predictOnline(
  deps: Pick<Deps, 'models' | 'bodyLimit'>,
  request: IncomingMessage,
): Promise<Answer> {
  const body = await readJson(request, deps.bodyLimit);
  const { model, scorer, features, row } = deps.models.requireDefault();
  if (!isObject(body)) throw notAnObject();
  const completed = features?.lacks(body) ? await features.complete(body) : undefined;
  // From here to the call of the scorer nothing is waited for: the row is everybody's.
  const problems = model.encoder.encodeRecord(completed?.record ?? body, row, 0);
  if (problems !== undefined) throw unprocessable((completed?.explain(problems) ?? problems).map(fieldProblem));
  let probabilities: Float32Array;
  try {
    probabilities = await scorer.score(row, 1);
  } catch (cause) {
    if (cause instanceof Overloaded) throw cause;
    throw new HttpError(500, 'Internal prediction error', { cause });
  }
  return `[${probabilities[0]},${probabilities[1]}]`;
}

function fieldProblem({ feature, message, type }: Problem): FieldProblem {
  return { loc: ['body', feature], msg: message, type };
}

async function predictBatch(deps: Deps, request: Request, response: Response): Promise<void> {
  const batch = await deps.audit.record(request, 'submit', async (asked) => {
    const input = inputOf(await readJson(request, deps.bodyLimit));
    asked.input = input;
    const model = deps.models.requireDefault().model.name;
    asked.model = model;
    if (!(await deps.batches.inputExists(input))) throw new HttpError(404, 'File not found');
    const submitted = await deps.batches.submit({ model, input });
    asked.batchId = submitted.id;
    return submitted;
  });
  if (prefersAsync(request)) {
    response.setHeader('Preference-Applied', 'respond-async');
    acceptBatch(response, batch);
    return;
  }
  const ended = await waitForEnd(deps, batch, request, response);
  if (ended !== undefined) answerEnded(response, ended);
}

/** The object that `BUCKET_NAME` and `FILEPATH` name. */
function inputOf(body: unknown): string {
  if (!isObject(body)) throw notAnObject();
  const problems: FieldProblem[] = [];
  const text = (field: string): string => {
    const value = body[field];
    if (typeof value === 'string' && value !== '') return value;
    problems.push(
      value === undefined
        ? { loc: ['body', field], msg: 'is missing', type: 'missing' }
        : { loc: ['body', field], msg: 'must be a non-empty string', type: 'string_type' },
    );
    return '';
  };
  const uri = `gs://${text('BUCKET_NAME')}/${text('FILEPATH')}`;
  if (problems.length > 0) throw unprocessable(problems);
  return uri;
}

/** RFC 7240 */
function prefersAsync(request: Request): boolean {
  const prefer = request.headers['prefer'];
  return (
    typeof prefer === 'string' && prefer.split(/[,;]/).some((token) => token.trim().toLowerCase() === 'respond-async')
  );
}

const shortestPause = 20;
const longestPause = 250;
/** A wait outlives a Redis that restarts. */
const longestOutage = 15_000;

/** Looks at the batch until it has ended; undefined when the client has gone. The batch itself goes on in any case. */
async function waitForEnd(
  { batches, logger, closing }: Deps,
  submitted: Batch,
  request: Request,
  response: Response,
): Promise<Batch | undefined> {
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  response.once('close', leave);
  closing.addEventListener('abort', leave);
  try {
    let lastSeen = Date.now();
    let batch = submitted;
    for (let pause = shortestPause; !isFinal(batch.state); pause = Math.min(pause * 1.5, longestPause)) {
      await sleep(pause, gone.signal);
      if (response.destroyed) return undefined;
      if (closing.aborted) throw stillRunning(batch.id);
      try {
        batch = (await batches.get(batch.id)) ?? batch;
        lastSeen = Date.now();
      } catch (error) {
        if (Date.now() - lastSeen > longestOutage) throw error;
        logger.warn({ err: error, requestId: requestIdOf(request) }, 'waiting for a batch: Redis does not answer');
      }
    }
    return batch;
  } finally {
    response.off('close', leave);
    closing.removeEventListener('abort', leave);
  }
}

/** Resolves after the time, or at once when the signal is given. */
function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const wake = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', wake);
      resolve();
    }, milliseconds);
    signal.addEventListener('abort', wake, { once: true });
  });
}

function stillRunning(id: string): HttpError {
  return new HttpError(503, `the server is going away; the batch goes on: ask for it at /batches/${id}`, {
    headers: { Location: `/batches/${id}`, 'Retry-After': '1' },
  });
}

function answerEnded(response: Response, { id, state, error }: Batch): void {
  response.setHeader('Location', `/batches/${id}`);
  if (state === 'done') {
    sendJson(response, 200, 'Done');
    return;
  }
  if (state === 'cancelled') throw new HttpError(409, 'the batch was cancelled');
  if (error?.code === 'NotFound') throw new HttpError(404, 'File not found');
  const message = error?.message ?? 'the batch failed';
  if (error !== undefined && inputError(error.code)) throw new HttpError(422, message);
  throw new HttpError(500, message, { cause: new RiskModelError(error?.code ?? 'BatchFailed', message) });
}
