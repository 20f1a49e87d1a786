import { validateRiskModel, type Problem } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { findUriProblem } from './gs-uri.ts';

/** What is wrong with a RiskModel, in the words of `riskmodel validate`; then what only a cluster's buckets rule out. */
export function findRiskModelProblems(object: unknown): Problem[] {
  const { model, problems } = validateRiskModel(object);
  return model === undefined ? problems : urisOf(model).flatMap(({ path, uri }) => problemOf(path, uri));
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

function urisOf({ spec }: RiskModel): { path: string; uri: string }[] {
  const outputUri = spec.batch.output.uri;
  return [
    { path: 'spec.artifact.uri', uri: spec.artifact.uri },
    // A folder: with the name of a file in it, it is what an object's URI is.
    ...(outputUri ? [{ path: 'spec.batch.output.uri', uri: `${outputUri.replace(/\/*$/, '')}/x` }] : []),
    ...spec.batch.schedules.map(({ input }, index) => ({ path: `spec.batch.schedules[${index}].input`, uri: input })),
  ];
}

function problemOf(path: string, uri: string): Problem[] {
  const message = findUriProblem(uri);
  return message === undefined ? [] : [{ path, message }];
}
