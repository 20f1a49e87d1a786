import { isObject } from './defaults.ts';
import { childPath, ManifestError } from './problem.ts';
import type { ManifestProblem, Problem } from './problem.ts';
import type { ResourceKind } from './resource-kind.ts';
import { checkSemantics } from './semantic-checks.ts';
import { makeValidator } from './validator.ts';
import { parseYamlDocuments } from './yaml-documents.ts';
import { checkSchema } from './zz_generated.riskmodel-check.ts';
import declared from './zz_generated.riskmodel.json' with { type: 'json' };
import type { RiskModel } from './zz_generated.riskmodel.ts';

export { ManifestError } from './problem.ts';
export type { ManifestProblem, Problem } from './problem.ts';

/** A model with its defaults in place, or the problems that keep it from being one. */
export type ValidatedRiskModel =
  | { model: RiskModel; problems: [] }
  | { model: undefined; problems: [Problem, ...Problem[]] };

const riskModel = declared as unknown as ResourceKind;
const validate = makeValidator(riskModel.schema, checkSchema);

/**
 * Checks an object as the cluster checks a RiskModel that is applied: with the CRD's own schema and rules, then what a
 * schema can't say. The object isn't changed; the model is a copy with the defaults in place.
 * @param object a RiskModel as YAML or JSON gives it, from a file or from the API server.
 */
export function validateRiskModel(object: unknown): ValidatedRiskModel {
  const notOurs = findOtherKind(object);
  if (isNotEmpty(notOurs)) return { model: undefined, problems: notOurs };
  const { value, problems } = validate(object);
  if (isNotEmpty(problems)) return { model: undefined, problems };
  const model = value as RiskModel;
  const semantic = checkSemantics(model);
  return isNotEmpty(semantic) ? { model: undefined, problems: semantic } : { model, problems: [] };
}

/**
 * Reads the RiskModels of a manifest: one or more YAML (or JSON) documents, of this kind only.
 * @param text the file's content.
 * @param file its name, to begin messages with.
 * @returns the models with their defaults in place, in the file's order; at least one.
 * @throws ManifestError with every problem of every document.
 */
export function parseManifests(text: string, file: string): RiskModel[] {
  const documents = parseYamlDocuments(text, file);
  if (documents.length === 0) {
    throw new ManifestError([{ source: file, path: '', message: `has no ${riskModel.kind} in it` }]);
  }
  const models: RiskModel[] = [];
  const problems: ManifestProblem[] = [];
  const sources = new Map<string, string>();
  for (const { number, value } of documents) {
    const source = documents.length === 1 ? file : `${file} (document ${number})`;
    const { model, problems: found } = validateRiskModel(value);
    problems.push(...found.map(({ path, message }) => ({ source, path, message })));
    if (!model) continue;
    const key = `${model.metadata.namespace ?? ''}/${model.metadata.name}`;
    const first = sources.get(key);
    if (first !== undefined) {
      const message = `duplicate "${model.metadata.name}" (first in ${first})`;
      problems.push({ source, path: 'metadata.name', message });
    }
    sources.set(key, first ?? source);
    models.push(model);
  }
  if (problems.length > 0) throw new ManifestError(problems);
  return models;
}

/** Why an object is not of our kind at all, in which case its fields are no matter of ours. */
function findOtherKind(object: unknown): Problem[] {
  if (!isObject(object)) {
    return [{ path: '', message: 'must be a mapping with apiVersion, kind, metadata and spec' }];
  }
  return (['apiVersion', 'kind'] as const).flatMap((field) => {
    const value = object[field];
    if (value === riskModel[field]) return [];
    const message = value === undefined || value === null ? 'is required' : `must be ${riskModel[field]}`;
    const found = typeof value === 'string' ? `, not "${value}"` : '';
    return [{ path: childPath('', field), message: `${message}${found}` }];
  });
}

function isNotEmpty(problems: Problem[]): problems is [Problem, ...Problem[]] {
  return problems.length > 0;
}
