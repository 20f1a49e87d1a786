import { decide, type Model } from '@riskmodel/core/model/model.ts';
import type { Answer } from '../http/send.ts';
import { decisionOutput, type InferenceRequest } from './inference-request.ts';

/** What the answers of a model have in common, as JSON. */
export interface AnswerTexts {
  /** The names of the model and of its version, with which an answer begins. */
  model: string;
  /** The name of its output of probabilities. */
  probabilities: string;
}

/** Made once for a model, and not with every request. */
export function answerTexts({ name, version, session }: Model): AnswerTexts {
  return {
    model: `"model_name":${JSON.stringify(name)},"model_version":${JSON.stringify(version)}`,
    probabilities: JSON.stringify(session.outputName),
  };
}

/** Answers an inference request with the outputs it asked for, as JSON or as binary data after it. */
export function inferenceResponse(
  { model, texts }: { model: Model; texts: AnswerTexts },
  { id, outputs, rows }: Pick<InferenceRequest, 'id' | 'outputs' | 'rows'>,
  probabilities: Float32Array,
): Answer {
  const binary: Uint8Array[] = [];
  // Put together as text: a tree of objects to be made text of takes three times as long. All numbers are finite.
  const described = outputs.map(({ name, binary: wantsBinary }) => {
    const isDecision = name === decisionOutput;
    const numbers = isDecision ? decisionsOf(probabilities, model) : probabilities;
    const head = isDecision
      ? `{"name":"${decisionOutput}","datatype":"INT64","shape":[${rows}]`
      : `{"name":${texts.probabilities},"datatype":"FP32","shape":[${rows},2]`;
    if (!wantsBinary) return `${head},"data":[${numbers.join(',')}]}`;
    const data = isDecision ? BigInt64Array.from(numbers, BigInt) : probabilities;
    binary.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return `${head},"parameters":{"binary_data_size":${data.byteLength}}}`;
  });
  const withId = id === undefined ? '' : `,"id":${JSON.stringify(id)}`;
  const text = `{${texts.model}${withId},"outputs":[${described.join(',')}]}`;
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
