import type { IncomingMessage } from 'node:http';
import type { Model } from '@riskmodel/core/model/model.ts';
import { Router, type Request } from 'express';
import type { Guard } from '../auth/guard.ts';
import { readBody, requireJson } from '../http/body.ts';
import { open, route } from '../http/routing.ts';
import { sendAnswer, sendJson, type Answer } from '../http/send.ts';
import { decisionOutput, readInferenceRequest } from '../open-inference/inference-request.ts';
import { inferenceResponse } from '../open-inference/inference-response.ts';
import type { Readiness } from '../readiness.ts';
import type { ServedModel } from '../serving/served-model.ts';
import type { ServedModels } from '../serving/served-models.ts';

interface Deps {
  models: ServedModels;
  readiness: Readiness;
  guard: Guard;
  bodyLimit: number;
  /** The server's own version. */
  version: string;
}

/**
 * The Open Inference Protocol, version 2, over HTTP, with the binary tensor data extension.
 * Sources: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md),
 * https://github.com/triton-inference-server/server (docs/protocol/extension_binary_data.md)
 */
export function openInferenceRoutes(deps: Deps): Router {
  const { models, readiness, version } = deps;
  const { online } = deps.guard;
  const router = Router();
  const isReady = (): boolean => readiness.reason === undefined;

  route(router, '/v2', online, {
    get: (_request, response) =>
      sendJson(response, 200, { name: 'riskmodel', version, extensions: ['binary_tensor_data'] }),
  });
  route(router, '/v2/health/ready', open, {
    get: (_request, response) => sendJson(response, isReady() ? 200 : 503, { ready: isReady() }),
  });
  route(router, '/v2/models', online, {
    get: (_request, response) => sendJson(response, 200, { models: models.names }),
  });

  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    const served = ({ params }: Request): ServedModel =>
      models.get(params['model'] as string, params['version'] as string | undefined);
    route(router, path, online, {
      get: (request, response) => sendJson(response, 200, describeModel(served(request).model)),
    });
    route(router, `${path}/ready`, online, {
      get: (request, response) => {
        const { name } = served(request).model;
        sendJson(response, isReady() ? 200 : 503, { name, ready: isReady() });
      },
    });
    route(router, `${path}/infer`, online, {
      post: async (request, response) => sendAnswer(response, await infer(deps, served(request), request)),
    });
  }
  return router;
}

/** The protocol's `/livez`: apart from the rest, because it is answered also while models load. */
export function openInferenceLiveness(): Router {
  const router = Router();
  route(router, '/v2/health/live', open, { get: (_request, response) => sendJson(response, 200, { live: true }) });
  return router;
}

function describeModel({ name, version, session, encoder }: Model): unknown {
  return {
    name,
    versions: [version],
    platform: 'onnx_onnxv1',
    inputs: [{ name: session.inputName, datatype: 'FP32', shape: [-1, encoder.width] }],
    outputs: [
      { name: session.outputName, datatype: 'FP32', shape: [-1, 2] },
      { name: decisionOutput, datatype: 'INT64', shape: [-1] },
    ],
  };
}

/** `POST /v2/models/{model}/infer`: the outputs that the body asks for. */
export async function infer(
  { bodyLimit }: Pick<Deps, 'bodyLimit'>,
  served: ServedModel,
  request: IncomingMessage,
): Promise<Answer> {
  const jsonLength = request.headers['inference-header-content-length'] as string | undefined;
  if (jsonLength === undefined) requireJson(request);
  const body = await readBody(request, bodyLimit);
  // From here to the call of the scorer nothing is waited for: the row is everybody's.
  const inference = readInferenceRequest(body, jsonLength, served.inputs);
  const probabilities = await served.scorer.score(inference.matrix, inference.rows);
  return inferenceResponse(served, inference, probabilities);
}
