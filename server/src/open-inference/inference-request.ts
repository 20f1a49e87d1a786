import type { FeatureEncoder } from '@riskmodel/core/model/features.ts';
import type { Model } from '@riskmodel/core/model/model.ts';
import { parseJson } from '../http/body.ts';
import { HttpError, isObject } from '../http/http-error.ts';
import { encodeTensors, type FeatureMatrix } from './features-matrix.ts';
import { BinaryPart, readTensor } from './tensor.ts';

/** The name of the output that holds the decisions, beside the model's own output of probabilities. */
export const decisionOutput = 'decision';

/** An output that the client wants, and whether as binary data. */
export interface RequestedOutput {
  name: string;
  binary: boolean;
}

/** An inference request, read and found fit for scoring. */
export interface InferenceRequest extends FeatureMatrix {
  id: string | undefined;
  outputs: RequestedOutput[];
}

/** What inference requests of a model are read by. */
export interface ModelInputs {
  encoder: FeatureEncoder;
  /** The names of the outputs that there are, which is what a request that names none is given. */
  outputs: readonly string[];
  /** Names of tensors to pass over, such as the records' identifier. */
  ignored: ReadonlySet<string>;
  /** Where a request of one row is encoded: what is scored at once needs no matrix of its own. */
  row: Float32Array;
}

/** Made once for a model, and not with every request. */
export function modelInputs({ encoder, manifest, session }: Model, row: Float32Array): ModelInputs {
  const { identifier, target } = manifest.spec;
  const ignored = new Set([identifier, target].filter((name) => name !== undefined));
  return { encoder, outputs: [session.outputName, decisionOutput], ignored, row };
}

/**
 * Reads the body of an inference request. Of one with a single row the matrix may be the model's `row`.
 *
 * @param body JSON, then the binary data of its tensors
 * @param jsonLength the header `Inference-Header-Content-Length`; undefined when all of the body is JSON
 * @throws HttpError 400, 413
 */
export function readInferenceRequest(
  body: Buffer,
  jsonLength: string | undefined,
  model: ModelInputs,
): InferenceRequest {
  const split = jsonLength === undefined ? body.length : parseLength(jsonLength, body.length);
  const request = parseJson(body.subarray(0, split));
  if (!isObject(request)) throw new HttpError(400, 'body: must be a JSON object with "inputs"');
  const { id, inputs } = request;
  if (id !== undefined && typeof id !== 'string') throw new HttpError(400, 'id: must be a string');
  if (!Array.isArray(inputs)) throw new HttpError(400, 'inputs: must be an array');
  const outputs = requestedOutputs(request, model.outputs);

  const binary = new BinaryPart(body.subarray(split));
  const tensors = inputs.map((input, index) => readTensor(input, `inputs[${index}]`, binary, model.ignored));
  if (binary.left > 0) {
    throw new HttpError(400, `body: ${binary.left} bytes of binary data belong to no input (see binary_data_size)`);
  }
  return {
    id,
    outputs,
    ...encodeTensors(
      tensors.filter((tensor) => tensor !== undefined),
      model,
    ),
  };
}

function parseLength(text: string, bodyLength: number): number {
  const length = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(length <= bodyLength)) {
    throw new HttpError(400, 'Inference-Header-Content-Length: must be the length of the JSON, at most Content-Length');
  }
  return length;
}

function requestedOutputs(
  { outputs, parameters }: Record<string, unknown>,
  known: readonly string[],
): RequestedOutput[] {
  const binaryByDefault = isObject(parameters) && parameters['binary_data_output'] === true;
  if (outputs === undefined || (Array.isArray(outputs) && outputs.length === 0)) {
    return known.map((name) => ({ name, binary: binaryByDefault }));
  }
  if (!Array.isArray(outputs)) throw new HttpError(400, 'outputs: must be an array');
  if (outputs.length > known.length) throw new HttpError(400, `outputs: there are only ${known.join(', ')}`);
  return outputs.map((output, index) => {
    const name = isObject(output) ? output['name'] : undefined;
    if (typeof name !== 'string' || !known.includes(name)) {
      throw new HttpError(400, `outputs[${index}].name: must be one of ${known.join(', ')}`);
    }
    const own = isObject(output) && isObject(output['parameters']) ? output['parameters']['binary_data'] : undefined;
    return { name, binary: typeof own === 'boolean' ? own : binaryByDefault };
  });
}
