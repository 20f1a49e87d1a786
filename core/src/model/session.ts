import './no-telemetry.ts';
import ort from 'onnxruntime-node';
import { RiskModelError, messageOf } from '../errors.ts';
import { removeZipMap } from './onnx-graph.ts';

type ValueMetadata = ort.InferenceSession.ValueMetadata;

/** A binary classifier, loaded: features in, the probabilities of both classes out. */
export interface Session {
  /** As the ONNX graph names them; Open Inference Protocol clients see these names. */
  readonly inputName: string;
  readonly outputName: string;
  /**
   * Scores `rows` rows.
   * @param matrix float32, row-major `[rows, width]`
   * @returns float32, row-major `[rows, 2]`: prob_0 and prob_1 of each row
   */
  run(matrix: Float32Array, rows: number): Promise<Float32Array>;
  release(): Promise<void>;
}

export interface SessionOptions {
  /**
   * Threads for one run. With one thread the trees of a row are summed in the same order whatever the number of rows
   * in the run, which is what makes online and batch give the same bits. Default 1.
   */
  threads?: number;
}

/** `openSession`, here or on a thread of its own. */
export type OpenSession = (bytes: Uint8Array, width: number, options?: SessionOptions) => Promise<Session>;

/**
 * Loads a serialised ONNX classifier whose input is one float tensor `[N, width]` and whose outputs hold the
 * probabilities `[N, 2]`, as a tensor or as the ZipMap of scikit-learn's converters; finds both by inspection and
 * answers a first run, so that what is returned works.
 *
 * @throws RiskModelError `UnsupportedModel` (not ONNX, or other inputs and outputs), `FeatureCountMismatch`
 */
export async function openSession(bytes: Uint8Array, width: number, options: SessionOptions = {}): Promise<Session> {
  const session = await create(bytes, options.threads ?? 1);
  const inputName = findInput(session.inputMetadata, width);
  const outputName = findProbabilities(session.outputMetadata);

  const run = async (matrix: Float32Array, rows: number): Promise<Float32Array> => {
    const input = new ort.Tensor('float32', matrix, [rows, width]);
    const { [outputName]: output } = await session.run({ [inputName]: input }, [outputName]);
    return output?.data as Float32Array;
  };
  await warmUp(run, width);
  return { inputName, outputName, run, release: () => session.release() };
}

async function create(bytes: Uint8Array, threads: number): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(removeZipMap(bytes), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
    });
  } catch (cause) {
    throw new RiskModelError('UnsupportedModel', `the artifact can't be loaded as an ONNX model: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function findInput(inputs: readonly ValueMetadata[], width: number): string {
  const [input] = inputs;
  if (inputs.length !== 1 || !input?.isTensor || input.type !== 'float32' || input.shape.length !== 2) {
    throw new RiskModelError(
      'UnsupportedModel',
      `the model's input must be one float tensor [N, features]; this one takes ${describe(inputs)}`,
    );
  }
  const columns = input.shape[1];
  if (typeof columns === 'number' && columns > 0 && columns !== width) {
    throw new RiskModelError(
      'FeatureCountMismatch',
      `the model takes ${columns} features, but spec.features lists ${width}: list the model's columns, in its order`,
    );
  }
  return input.name;
}

function findProbabilities(outputs: readonly ValueMetadata[]): string {
  if (outputs.some((output) => output.isTensor && output.type === 'string')) {
    throw new RiskModelError(
      'UnsupportedModel',
      "the model's classes are texts, so it can't be told which of them is class 1: train it with the outcomes 0 and 1",
    );
  }
  const candidates = outputs.filter(
    (output) => output.isTensor && output.type === 'float32' && (output.shape.length === 0 || isPairs(output.shape)),
  );
  const found = candidates.find((output) => /prob/i.test(output.name)) ?? candidates[0];
  if (found === undefined) {
    throw new RiskModelError(
      'UnsupportedModel',
      `the model must put out the probabilities of two classes, a float tensor [N, 2] or a ZipMap; this one gives ${describe(outputs)}`,
    );
  }
  return found.name;
}

function isPairs(shape: readonly (number | string)[]): boolean {
  return shape.length === 2 && (typeof shape[1] === 'string' || shape[1] === 2 || shape[1] === -1);
}

function describe(values: readonly ValueMetadata[]): string {
  return values
    .map((value) =>
      value.isTensor ? `${value.name}: ${value.type} [${value.shape.join(', ')}]` : `${value.name}: not a tensor`,
    )
    .join('; ');
}

/** One run on a row of zeros: the first run is slow, and its answer shows what the metadata did not say. */
async function warmUp(run: Session['run'], width: number): Promise<void> {
  let answer: Float32Array;
  try {
    answer = await run(new Float32Array(width), 1);
  } catch (cause) {
    throw new RiskModelError('UnsupportedModel', `the model fails on a row of ${width} zeros: ${messageOf(cause)}`, {
      cause,
    });
  }
  const [zero, one] = answer;
  const sum = (zero ?? Number.NaN) + (one ?? Number.NaN);
  if (answer.length !== 2 || !(Math.abs(sum - 1) < 1e-3)) {
    throw new RiskModelError(
      'UnsupportedModel',
      `the model answers one row with ${answer.length} numbers that are not the probabilities of two classes (they must be 2 and add up to 1)`,
    );
  }
}
