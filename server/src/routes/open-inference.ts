import type { Model } from '@riskmodel/core/model/model.ts';
import { Router, type Request, type Response } from 'express';
import { readBody, requireJson } from '../http/body.ts';
import { route } from '../http/routing.ts';
import { sendJson } from '../http/send.ts';
import { readInferenceRequest } from '../open-inference/inference-request.ts';
import { decisionOutput, sendInferenceResponse } from '../open-inference/inference-response.ts';
import type { Readiness } from '../readiness.ts';
import type { ServedModel } from '../serving/served-model.ts';
import type { ServedModels } from '../serving/served-models.ts';

interface Deps {
  models: ServedModels;
  readiness: Readiness;
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
  const router = Router();
  const isReady = (): boolean => readiness.reason === undefined;

  route(router, '/v2', {
    get: (_request, response) =>
      sendJson(response, 200, { name: 'riskmodel', version, extensions: ['binary_tensor_data'] }),
  });
  route(router, '/v2/health/ready', {
    get: (_request, response) => sendJson(response, isReady() ? 200 : 503, { ready: isReady() }),
  });
  route(router, '/v2/models', { get: (_request, response) => sendJson(response, 200, { models: models.names }) });

  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    const served = ({ params }: Request): ServedModel =>
      models.get(params['model'] as string, params['version'] as string | undefined);
    route(router, path, {
      get: (request, response) => sendJson(response, 200, describeModel(served(request).model)),
    });
    route(router, `${path}/ready`, {
      get: (request, response) => {
        const { name } = served(request).model;
        sendJson(response, isReady() ? 200 : 503, { name, ready: isReady() });
      },
    });
    route(router, `${path}/infer`, { post: (request, response) => infer(deps, served(request), request, response) });
  }
  return router;
}

/** The protocol's `/livez`: apart from the rest, because it is answered also while models load. */
export function openInferenceLiveness(): Router {
  const router = Router();
  route(router, '/v2/health/live', { get: (_request, response) => sendJson(response, 200, { live: true }) });
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

async function infer(deps: Deps, { model, scorer }: ServedModel, request: Request, response: Response): Promise<void> {
  const jsonLength = request.headers['inference-header-content-length'] as string | undefined;
  if (jsonLength === undefined) requireJson(request);
  const { identifier, target } = model.manifest.spec;
  const inference = readInferenceRequest(await readBody(request, deps.bodyLimit), jsonLength, {
    encoder: model.encoder,
    outputs: [model.session.outputName, decisionOutput],
    ignored: new Set([identifier, target].filter((name) => name !== undefined)),
  });
  const probabilities = await scorer.score(inference.matrix, inference.rows);
  sendInferenceResponse(response, model, inference, probabilities);
}
