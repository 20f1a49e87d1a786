import { batchActions, batchInputFormats, isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import type { BatchAction } from '@riskmodel/core/batchprediction/zz_generated.batchprediction.ts';
import { RiskModelError, messageOf } from '@riskmodel/core/errors.ts';
import { parseGsUri } from '@riskmodel/core/storage/object-store.ts';
import { parseTableUri } from '@riskmodel/core/warehouse/table-uri.ts';
import { Router, type Request, type Response } from 'express';
import type { AuditLog } from '../auth/audit-log.ts';
import type { Guard } from '../auth/guard.ts';
import type { BatchService } from '../batches/batch-service.ts';
import { readJson } from '../http/body.ts';
import { HttpError, isObject, notAnObject, unprocessable, type FieldProblem } from '../http/http-error.ts';
import { route } from '../http/routing.ts';
import { sendJson } from '../http/send.ts';
import type { ServedModels } from '../serving/served-models.ts';

interface Deps {
  models: ServedModels;
  batches: BatchService;
  guard: Guard;
  audit: AuditLog;
  bodyLimit: number;
}

const longestKey = 256;
const defaultListed = 50;
const mostListed = 1_000;

/** Batches as a resource: submit, list, look at, call off. */
export function batchRoutes(deps: Deps): Router {
  const router = Router();
  const access = deps.guard.batch;
  route(router, '/batches', access, {
    post: (request, response) => submit(deps, request, response),
    get: (request, response) => list(deps, request, response),
  });
  route(router, '/batches/:id', access, {
    get: async (request, response) => {
      sendJson(response, 200, found(await deps.batches.get(idOf(request))));
    },
    delete: async (request, response) => {
      sendJson(response, 200, await cancel(deps, request));
    },
  });
  return router;
}

/** Answers 202 and where to look for the batch; 200 when it has ended already. */
export function acceptBatch(response: Response, batch: Batch): void {
  response.setHeader('Location', `/batches/${batch.id}`);
  sendJson(response, isFinal(batch.state) ? 200 : 202, batch);
}

async function submit(deps: Deps, request: Request, response: Response): Promise<void> {
  const { models, batches, audit, bodyLimit } = deps;
  const batch = await audit.record(request, 'submit', async (asked) => {
    const body = await readJson(request, bodyLimit);
    if (!isObject(body)) throw notAnObject();
    const problems: FieldProblem[] = [];
    const model = modelOf(body, models, problems);
    const action = actionOf(body, problems);
    const input = inputOf(body, problems);
    const format = formatOf(body, problems);
    const idempotencyKey = keyOf(body, request, problems);
    if (problems.length > 0) throw unprocessable(problems);
    Object.assign(asked, { model, input, idempotencyKey });
    const { features } = models.get(model);
    if (action === 'LoadFeatures' && features === undefined) throw noFeatureStore(model);
    const submitted = await batches.submit({ model, action, input, format, idempotencyKey });
    asked.batchId = submitted.id;
    return submitted;
  });
  acceptBatch(response, batch);
}

function cancel({ batches, audit }: Deps, request: Request): Promise<Batch> {
  return audit.record(request, 'cancel', async (asked) => {
    const id = idOf(request);
    asked.batchId = id.slice(0, longestKey);
    const batch = found(await batches.cancel(id));
    Object.assign(asked, { model: batch.model, input: batch.input });
    if (batch.state === 'cancelled') return batch;
    throw new HttpError(409, `the batch can't be cancelled any more: it is ${batch.state}`);
  });
}

function modelOf({ model }: Record<string, unknown>, { names }: ServedModels, problems: FieldProblem[]): string {
  if (typeof model === 'string') return model;
  const [only] = names;
  if (model === undefined && names.length === 1 && only !== undefined) return only;
  problems.push(
    model === undefined
      ? { loc: ['body', 'model'], msg: `is missing; must be one of ${names.join(', ')}`, type: 'missing' }
      : { loc: ['body', 'model'], msg: 'must be a string', type: 'string_type' },
  );
  return '';
}

function actionOf({ action }: Record<string, unknown>, problems: FieldProblem[]): BatchAction | undefined {
  if (action === undefined) return undefined;
  const known = batchActions.find((candidate) => candidate === action);
  if (known === undefined) {
    problems.push({ loc: ['body', 'action'], msg: `must be one of ${batchActions.join(', ')}`, type: 'enum' });
  }
  return known;
}

function noFeatureStore(model: string): HttpError {
  const msg = `must be Predict: model "${model}" has no feature store (spec.online.features)`;
  return unprocessable([{ loc: ['body', 'action'], msg, type: 'enum' }]);
}

function inputOf({ input }: Record<string, unknown>, problems: FieldProblem[]): string {
  const loc = ['body', 'input'];
  if (typeof input !== 'string') {
    problems.push(
      input === undefined
        ? { loc, msg: 'is missing', type: 'missing' }
        : { loc, msg: 'must be a string: gs://BUCKET/PATH', type: 'string_type' },
    );
    return '';
  }
  try {
    if (input.startsWith('bq://')) parseTableUri(input);
    else parseGsUri(input);
  } catch (error) {
    if (!(error instanceof RiskModelError)) throw error;
    problems.push({ loc, msg: messageOf(error), type: 'invalid_uri' });
  }
  return input;
}

function formatOf({ format }: Record<string, unknown>, problems: FieldProblem[]): Batch['format'] {
  if (format === undefined) return undefined;
  const found = batchInputFormats.find((known) => known === format);
  if (found === undefined) {
    const msg = `must be one of ${batchInputFormats.join(', ')}`;
    problems.push({ loc: ['body', 'format'], msg, type: 'enum' });
  }
  return found;
}

/** The key of the body or of the header; undefined when there is none. */
function keyOf(body: Record<string, unknown>, request: Request, problems: FieldProblem[]): string | undefined {
  const inBody = body['idempotencyKey'];
  const inHeader = request.headers['idempotency-key'];
  const key = inBody ?? inHeader;
  if (key === undefined) return undefined;
  const loc = inBody === undefined ? ['header', 'Idempotency-Key'] : ['body', 'idempotencyKey'];
  if (typeof key !== 'string' || key === '' || key.length > longestKey) {
    problems.push({ loc, msg: `must be a string of 1 to ${longestKey} characters`, type: 'string_type' });
    return undefined;
  }
  if (inBody !== undefined && inHeader !== undefined && inBody !== inHeader) {
    problems.push({ loc, msg: 'differs from the header Idempotency-Key', type: 'value_error' });
  }
  return key;
}

async function list({ batches }: Deps, request: Request, response: Response): Promise<void> {
  const { model, limit } = request.query;
  const problems: FieldProblem[] = [];
  if (model !== undefined && typeof model !== 'string') {
    problems.push({ loc: ['query', 'model'], msg: 'must be given once', type: 'string_type' });
  }
  const count =
    limit === undefined ? defaultListed : typeof limit === 'string' && /^\d+$/.test(limit) ? Number(limit) : 0;
  if (count < 1 || count > mostListed) {
    problems.push({ loc: ['query', 'limit'], msg: `must be a whole number from 1 to ${mostListed}`, type: 'int_type' });
  }
  if (problems.length > 0) throw unprocessable(problems);
  const listed = await batches.list({ ...(typeof model === 'string' ? { model } : {}), limit: count });
  sendJson(response, 200, { batches: listed });
}

function idOf(request: Request): string {
  return request.params['id'] as string;
}

function found(batch: Batch | undefined): Batch {
  if (batch === undefined) throw new HttpError(404, 'there is no batch of this id');
  return batch;
}
