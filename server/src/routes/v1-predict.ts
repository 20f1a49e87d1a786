import type { IncomingMessage } from 'node:http';
import type { Model } from '@riskmodel/core/model/model.ts';
import { Router } from 'express';
import type { Guard } from '../auth/guard.ts';
import type { CompletedRecord } from '../features/feature-store.ts';
import { readJson } from '../http/body.ts';
import { HttpError, isObject } from '../http/http-error.ts';
import { checkInstanceCount, InstanceProblems } from '../http/instance-problems.ts';
import { route } from '../http/routing.ts';
import { sendAnswer, sendJson, type Answer } from '../http/send.ts';
import type { Readiness } from '../readiness.ts';
import type { ServedModel } from '../serving/served-model.ts';
import type { ServedModels } from '../serving/served-models.ts';

interface Deps {
  models: ServedModels;
  readiness: Readiness;
  guard: Guard;
  bodyLimit: number;
}

/**
 * KServe's V1 protocol, whose predict call has the body of Vertex AI's.
 * Source: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
 */
export function v1PredictRoutes(deps: Deps): Router {
  const router = Router();
  const { online } = deps.guard;
  // Before the next route, whose parameter would match the colon too.
  route(router, '/v1/models/:model\\:predict', online, {
    post: async (request, response) =>
      sendAnswer(response, await predict(deps, deps.models.get(request.params['model'] as string), request)),
  });
  route(router, '/v1/models', online, {
    get: (_request, response) => sendJson(response, 200, { models: deps.models.names }),
  });
  route(router, '/v1/models/:model', online, {
    get: (request, response) => {
      const { model } = deps.models.get(request.params['model'] as string);
      const ready = deps.readiness.reason === undefined;
      sendJson(response, ready ? 200 : 503, { name: model.name, ready });
    },
  });
  return router;
}

/** `POST /v1/models/{model}:predict`: the probabilities of each instance in the body. */
export async function predict(
  { bodyLimit }: Pick<Deps, 'bodyLimit'>,
  { model, scorer, features }: ServedModel,
  request: IncomingMessage,
): Promise<Answer> {
  const instances = instancesOf(await readJson(request, bodyLimit));
  const completed = await features?.completeAll(instances);
  const probabilities = await scorer.score(encodeInstances(model, instances, completed), instances.length);
  return `{"predictions":${pairsText(probabilities)}}`;
}

function instancesOf(body: unknown): unknown[] {
  if (!isObject(body)) throw new HttpError(400, 'body: must be a JSON object with "instances"');
  const { instances } = body;
  if (!Array.isArray(instances)) throw new HttpError(400, 'instances: must be an array');
  checkInstanceCount(instances.length);
  return instances;
}

function encodeInstances(
  { encoder }: Model,
  instances: readonly unknown[],
  completed: ReadonlyMap<number, CompletedRecord> | undefined,
): Float32Array {
  const matrix = new Float32Array(instances.length * encoder.width);
  const problems = new InstanceProblems();
  for (const [row, instance] of instances.entries()) {
    if (Array.isArray(instance)) {
      if (instance.length === encoder.width) problems.add(row, encoder.encodeValues(instance, matrix, row));
      else problems.addText(row, `has ${instance.length} values; the model takes ${encoder.width}`);
    } else if (isObject(instance)) {
      const whole = completed?.get(row);
      const found = encoder.encodeRecord(whole?.record ?? instance, matrix, row);
      problems.add(row, found && (whole?.explain(found) ?? found));
    } else {
      problems.addText(row, 'must be an object by feature name or an array in feature order');
    }
  }
  problems.throwIfAny();
  return matrix;
}

function pairsText(probabilities: Float32Array): string {
  const pairs: string[] = [];
  for (let i = 0; i < probabilities.length; i += 2) pairs.push(`[${probabilities[i]},${probabilities[i + 1]}]`);
  return `[${pairs.join(',')}]`;
}
