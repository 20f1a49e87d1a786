import type { Problem } from '../riskmodel/problem.ts';
import type { ResourceKind } from '../riskmodel/resource-kind.ts';
import { makeValidator } from '../riskmodel/validator.ts';
import { findUriProblem } from '../storage/gs-uri.ts';
import { checkSchema } from './zz_generated.batchprediction-check.ts';
import declared from './zz_generated.batchprediction.json' with { type: 'json' };
import type { BatchPrediction } from './zz_generated.batchprediction.ts';

/** A batch run as declared, or the problems that keep it from being one. */
export type ValidatedBatchPrediction =
  | { batchPrediction: BatchPrediction; problems: [] }
  | { batchPrediction: undefined; problems: [Problem, ...Problem[]] };

const validate = makeValidator((declared as unknown as ResourceKind).schema, checkSchema);

/**
 * Checks an object as the cluster checks a BatchPrediction that is created: with the CRD's own schema and rules, then what
 * a schema can't say. That an update leaves spec as it is, only the API server can tell. The object isn't changed; what is
 * returned is a copy.
 * @param object a BatchPrediction as YAML or JSON gives it, from a file or from the API server.
 */
export function validateBatchPrediction(object: unknown): ValidatedBatchPrediction {
  const { value, problems } = validate(object);
  const [first, ...rest] = kindProblems(problems) ?? problems;
  if (first !== undefined) return { batchPrediction: undefined, problems: [first, ...rest] };
  const batchPrediction = value as BatchPrediction;
  const message = findUriProblem(batchPrediction.spec.input.uri);
  return message === undefined
    ? { batchPrediction, problems: [] }
    : { batchPrediction: undefined, problems: [{ path: 'spec.input.uri', message }] };
}

/** The fields of an object of another kind are no matter of ours: then only what is wrong with its kind is told. */
function kindProblems(problems: Problem[]): Problem[] | undefined {
  const found = problems.filter(({ path }) => path === 'apiVersion' || path === 'kind');
  return found.length === 0 ? undefined : found;
}
