import { fileURLToPath } from 'node:url';
import type { Problem } from '../riskmodel/problem.ts';
import { readResourceKind } from '../riskmodel/resource-kind.ts';
import { makeValidator } from '../riskmodel/validator.ts';
import type { BatchPrediction } from './zz_generated.batchprediction.ts';

/** The file that declares BatchPrediction; it belongs to the program and is read, not compiled in. */
export const batchPredictionCrdFile = fileURLToPath(new URL('../../../crds/batchpredictions.yaml', import.meta.url));

/** A batch run as declared, or the problems that keep it from being one. */
export type ValidatedBatchPrediction =
  | { batchPrediction: BatchPrediction; problems: [] }
  | { batchPrediction: undefined; problems: [Problem, ...Problem[]] };

const validate = makeValidator(readResourceKind(batchPredictionCrdFile).schema);

/**
 * Checks an object as the cluster checks a BatchPrediction that is created: with the CRD's own schema and rules. That an
 * update leaves spec as it is, only the API server can tell. The object isn't changed; what is returned is a copy.
 * @param object a BatchPrediction as YAML or JSON gives it, from a file or from the API server.
 */
export function validateBatchPrediction(object: unknown): ValidatedBatchPrediction {
  const { value, problems } = validate(object);
  const [first, ...rest] = kindProblems(problems) ?? problems;
  return first === undefined
    ? { batchPrediction: value as BatchPrediction, problems: [] }
    : { batchPrediction: undefined, problems: [first, ...rest] };
}

/** The fields of an object of another kind are no matter of ours: then only what is wrong with its kind is told. */
function kindProblems(problems: Problem[]): Problem[] | undefined {
  const found = problems.filter(({ path }) => path === 'apiVersion' || path === 'kind');
  return found.length === 0 ? undefined : found;
}
