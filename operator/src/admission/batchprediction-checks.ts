import { validateBatchPrediction } from '@riskmodel/core/batchprediction/batch-prediction.ts';
import type { Problem } from '@riskmodel/core/riskmodel/problem.ts';
import type { KubeObject } from '../kube/object.ts';

/** Whether there is a RiskModel of that name; undefined when it can't be told. */
export type HasModel = (namespace: string, name: string) => Promise<boolean | undefined>;

/** What is wrong with a BatchPrediction. */
export function findBatchPredictionProblems(object: unknown): Problem[] {
  return validateBatchPrediction(object).problems;
}

/** A model may be applied after its batches: that there is none yet is worth a word, and no reason to refuse. */
export async function findBatchPredictionWarnings(object: KubeObject, hasModel: HasModel): Promise<string[]> {
  const { namespace = '' } = object.metadata;
  const { model } = (object['spec'] ?? {}) as { model?: unknown };
  if (typeof model !== 'string' || (await hasModel(namespace, model)) !== false) return [];
  return [`spec.model: there is no RiskModel "${model}" in namespace ${namespace} yet`];
}
