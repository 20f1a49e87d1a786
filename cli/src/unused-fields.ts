import { isDeepStrictEqual } from 'node:util';
import { validateRiskModel } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';

/** Fields of spec that only a cluster makes use of. */
const clusterFields = [
  'online.replicas',
  'online.resources',
  'batch.workers',
  'batch.resources',
  'batch.triggers',
  'revisionHistoryLimit',
];

/** The fields of a manifest that ask for something which `riskmodel up` does not do: all that differ from the default. */
export function unusedFields({ apiVersion, kind, metadata, spec }: RiskModel): string[] {
  const { artifact, features } = spec;
  const { model } = validateRiskModel({
    apiVersion,
    kind,
    metadata: { name: metadata.name },
    spec: { artifact, features },
  });
  return clusterFields.filter((field) => !isDeepStrictEqual(valueAt(spec, field), valueAt(model?.spec, field)));
}

/** What there is to say about them, in one line; undefined when there is nothing. */
export function unusedFieldsLine(models: RiskModel[]): string | undefined {
  const found = models
    .map((model) => ({ name: model.metadata.name, fields: unusedFields(model).join(', ') }))
    .filter(({ fields }) => fields !== '');
  if (found.length === 0) return undefined;
  const texts = found.map(({ name, fields }) => (models.length === 1 ? fields : `${name}: ${fields}`));
  return `not used on one machine: ${texts.join('; ')}`;
}

/** What does not work at all, in one line; undefined when everything does. */
export function unsupportedEngineLine(models: RiskModel[]): string | undefined {
  const names = models.filter(({ spec }) => spec.batch.engine === 'BigQueryML').map(({ metadata }) => metadata.name);
  if (names.length === 0) return undefined;
  return `batches of ${names.join(', ')} will fail on one machine (UnsupportedEngine): spec.batch.engine BigQueryML needs BigQuery; leave it out to score files here`;
}

function valueAt(object: unknown, path: string): unknown {
  return path.split('.').reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], object);
}
