import { validateRiskModel, type Problem } from '@riskmodel/core/riskmodel/manifest.ts';

/** What is wrong with a RiskModel, in the words of `riskmodel validate`. */
export function findRiskModelProblems(object: unknown): Problem[] {
  return validateRiskModel(object).problems;
}

/** What works, but not as well as whoever wrote the RiskModel may think. */
export function findRiskModelWarnings(object: unknown): string[] {
  const { spec } = object as { spec?: { artifact?: { sha256?: unknown }; online?: { replicas?: { min?: unknown } } } };
  const warnings: string[] = [];
  if (!spec?.artifact?.sha256) {
    warnings.push(
      'spec.artifact.sha256 is not set: a file that is overwritten would be served without anybody noticing',
    );
  }
  if (spec?.online?.replicas?.min === 1) {
    warnings.push(
      'spec.online.replicas.min is 1: with one pod, a node that goes takes the service down until another one is ready',
    );
  }
  return warnings;
}
