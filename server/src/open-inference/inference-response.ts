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
  // Put together as text: a tree of objects to be made text of takes three times as long. All numbers are finite.
  const described = outputs.map(({ name, binary: wantsBinary }) => {
    const isDecision = name === decisionOutput;
    const numbers = isDecision ? decisionsOf(probabilities, model) : probabilities;
    const head = `{"name":${JSON.stringify(name)},${isDecision ? `"datatype":"INT64","shape":[${rows}]` : `"datatype":"FP32","shape":[${rows},2]`}`;
    if (!wantsBinary) return `${head},"data":[${numbers.join(',')}]}`;
    const data = isDecision ? BigInt64Array.from(numbers, BigInt) : probabilities;
    binary.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return `${head},"parameters":{"binary_data_size":${data.byteLength}}}`;
  });
  const named = `"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)}`;
  const withId = id === undefined ? '' : `,"id":${JSON.stringify(id)}`;
  const text = `{${named}${withId},"outputs":[${described.join(',')}]}`;
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
