import { Router, type Request, type Response } from 'express';
import type { Guard } from '../auth/guard.ts';
import { HttpError, unprocessable } from '../http/http-error.ts';
import { route } from '../http/routing.ts';
import { sendJson } from '../http/send.ts';
import type { PredictionLookup } from '../lookup/prediction-lookup.ts';
import type { ServedModel } from '../serving/served-model.ts';
import type { ServedModels } from '../serving/served-models.ts';

interface Deps {
  models: ServedModels;
  predictions: PredictionLookup;
  guard: Guard;
}

/** What batches predicted, looked up by the record's identifier. */
export function predictionRoutes(deps: Deps): Router {
  const router = Router();
  const { online } = deps.guard;
  route(router, '/predictions/:id', online, {
    get: (request, response) => answerLatest(deps, request, response),
  });
  return router;
}

/** The answer and its errors do not repeat the identifier but in `id`: it is about a person. */
async function answerLatest({ models, predictions }: Deps, request: Request, response: Response): Promise<void> {
  const { model } = modelOf(request, models);
  const id = request.params['id'] as string;
  const found = await predictions.get(model.name, id);
  if (found === undefined) {
    throw new HttpError(
      404,
      `no batch of model "${model.name}" has a prediction under this identifier: none was made while the manifest had spec.batch.lookup, or its ttl is over`,
    );
  }
  const { prob0, prob1, decision, batchId, modelVersion, predDatetime } = found;
  sendJson(response, 200, {
    model: model.name,
    id,
    prob_0: prob0,
    prob_1: prob1,
    decision,
    batchId,
    modelVersion,
    predDatetime,
  });
}

function modelOf(request: Request, models: ServedModels): ServedModel {
  const { model } = request.query;
  if (typeof model === 'string') return models.get(model);
  if (model === undefined && models.default !== undefined) return models.default;
  throw unprocessable([
    {
      loc: ['query', 'model'],
      msg: `must be given once: one of ${models.names.join(', ')}`,
      type: model === undefined ? 'missing' : 'string_type',
    },
  ]);
}
