import type { Feature, RiskModelSpec } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { exampleRecord, exampleValue } from './example-values.ts';

/** A JSON Schema, as OpenAPI 3.1 has them. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The schema of one record: an object by feature name, with the manifest's types, ranges and rules. Where there is a
 * feature store, the identifier can stand in for features.
 */
export function recordSchema({ features, identifier, online }: RiskModelSpec): JsonSchema {
  const required = features.filter(({ whenMissing }) => whenMissing === 'Reject').map(({ name }) => name);
  const hasStore = online.features !== undefined && identifier !== undefined;
  return {
    type: 'object',
    ...(hasStore ? { anyOf: [{ required }, { required: [identifier] }] } : { required }),
    properties: {
      ...(hasStore && {
        [identifier]: {
          type: ['string', 'integer'],
          description: 'Names the record; features that are left out are looked up under it.',
        },
      }),
      ...Object.fromEntries(features.map((feature) => [feature.name, featureSchema(feature)])),
    },
    example: exampleRecord(features),
  };
}

function featureSchema(feature: Feature): JsonSchema {
  const { type, description, whenMissing } = feature;
  const optional = whenMissing !== 'Reject';
  return {
    ...valueSchema(feature, optional),
    ...(description === undefined ? {} : { description }),
    ...(whenMissing === 'Default' ? { default: type === 'Boolean' ? feature.default === 1 : feature.default } : {}),
    examples: [exampleValue(feature)],
  };
}

function valueSchema({ type, codes, minimum, maximum }: Feature, optional: boolean): JsonSchema {
  const absent = optional ? [null] : [];
  if (type === 'Boolean') return { enum: [false, true, 0, 1, ...absent] };
  if (type === 'Categorical') return { enum: [...(codes ?? []), ...absent] };
  const name = type === 'Integer' ? 'integer' : 'number';
  return {
    type: optional ? [name, 'null'] : name,
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  };
}
