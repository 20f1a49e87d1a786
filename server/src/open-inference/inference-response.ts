import type { ServerResponse } from 'node:http';
import { decide, type Model } from '@riskmodel/core/model/model.ts';
import { sendJsonText } from '../http/send.ts';
import type { InferenceRequest } from './inference-request.ts';

/** The name of the output that holds the decisions, beside the model's own output of probabilities. */
export const decisionOutput = 'decision';

/** Answers an inference request with the outputs it asked for, as JSON or as binary data after it. */
export function sendInferenceResponse(
  response: ServerResponse,
  model: Model,
  { id, outputs, rows }: Pick<InferenceRequest, 'id' | 'outputs' | 'rows'>,
  probabilities: Float32Array,
): void {
  const binary: Uint8Array[] = [];
  const described = outputs.map(({ name, binary: wantsBinary }) => {
    const isDecision = name === decisionOutput;
    const data = isDecision ? decisionsOf(probabilities, model) : probabilities;
    const head = { name, datatype: isDecision ? 'INT64' : 'FP32', shape: isDecision ? [rows] : [rows, 2] };
    if (!wantsBinary) return { ...head, data: Array.from(data, Number) };
    binary.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { ...head, parameters: { binary_data_size: data.byteLength } };
  });
  const text = JSON.stringify({ model_name: model.name, model_version: model.version, id, outputs: described });
  if (binary.length === 0) {
    sendJsonText(response, 200, text);
    return;
  }
  const json = Buffer.from(text);
  const length = binary.reduce((total, { byteLength }) => total + byteLength, json.length);
  response.setHeader('Content-Type', 'application/octet-stream');
  response.setHeader('Inference-Header-Content-Length', json.length);
  response.setHeader('Content-Length', length);
  response.write(json);
  for (const part of binary) response.write(part);
  response.end();
}

function decisionsOf(probabilities: Float32Array, { manifest }: Model): BigInt64Array {
  const { threshold } = manifest.spec.decision;
  const decisions = new BigInt64Array(probabilities.length / 2);
  for (let row = 0; row < decisions.length; row++) {
    decisions[row] = BigInt(decide(probabilities[row * 2 + 1] as number, threshold));
  }
  return decisions;
}
