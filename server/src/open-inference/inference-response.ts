import { decide, type Model } from '@riskmodel/core/model/model.ts';
import type { Answer } from '../http/send.ts';
import { decisionOutput, type InferenceRequest } from './inference-request.ts';

/** Answers an inference request with the outputs it asked for, as JSON or as binary data after it. */
export function inferenceResponse(
  model: Model,
  { id, outputs, rows }: Pick<InferenceRequest, 'id' | 'outputs' | 'rows'>,
  probabilities: Float32Array,
): Answer {
  const binary: Uint8Array[] = [];
  const described = outputs.map(({ name, binary: wantsBinary }) => {
    const isDecision = name === decisionOutput;
    const numbers = isDecision ? decisionsOf(probabilities, model) : probabilities;
    const [datatype, shape] = isDecision ? ['INT64', [rows]] : ['FP32', [rows, 2]];
    if (!wantsBinary) return { name, datatype, shape, data: Array.from(numbers) };
    const data = isDecision ? BigInt64Array.from(numbers, BigInt) : probabilities;
    binary.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { name, datatype, shape, parameters: { binary_data_size: data.byteLength } };
  });
  const text = JSON.stringify({ model_name: model.name, model_version: model.version, id, outputs: described });
  if (binary.length === 0) return text;
  const json = Buffer.from(text);
  const headers = { 'Content-Type': 'application/octet-stream', 'Inference-Header-Content-Length': json.length };
  return { headers, parts: [json, ...binary] };
}

function decisionsOf(probabilities: Float32Array, { manifest }: Model): Uint8Array {
  const { threshold } = manifest.spec.decision;
  const decisions = new Uint8Array(probabilities.length / 2);
  for (let row = 0; row < decisions.length; row++) {
    decisions[row] = decide(probabilities[row * 2 + 1] as number, threshold);
  }
  return decisions;
}
