import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { objectMetaSchema } from './object-meta.ts';
import type { StructuralSchema } from './structural-schema.ts';

interface CustomResourceDefinition {
  spec: {
    group: string;
    names: { kind: string };
    versions: { name: string; schema: { openAPIV3Schema: StructuralSchema } }[];
  };
}

/** One kind of one version of the API, as its CRD declares it. */
export interface ResourceKind {
  /** `GROUP/VERSION`, such as `riskmodel.io/v1alpha1`. */
  apiVersion: string;
  kind: string;
  /** The CRD's schema, made whole: apiVersion and kind fixed, metadata typed, all three required. */
  schema: StructuralSchema;
}

/** The files that declare the kinds. Programs take what `npm run generate` made of them, which is read in no time. */
export const riskModelCrdFile = crdFile('riskmodels');
export const batchPredictionCrdFile = crdFile('batchpredictions');

function crdFile(name: string): string {
  return fileURLToPath(new URL(`../../../crds/${name}.yaml`, import.meta.url));
}

/**
 * Reads the kind that a CRD declares, in its first version.
 * @param file path of a CustomResourceDefinition in YAML.
 * @throws Error when the file can't be read or declares no version.
 */
export function readResourceKind(file: string): ResourceKind {
  const { spec } = parse(readFileSync(file, 'utf8')) as CustomResourceDefinition;
  const [version] = spec.versions;
  if (!version) throw new Error(`${file}: spec.versions is empty`);
  const { openAPIV3Schema } = version.schema;
  const apiVersion = `${spec.group}/${version.name}`;
  const { kind } = spec.names;
  return {
    apiVersion,
    kind,
    schema: {
      ...openAPIV3Schema,
      required: ['apiVersion', 'kind', 'metadata', ...(openAPIV3Schema.required ?? [])],
      properties: {
        ...openAPIV3Schema.properties,
        apiVersion: { const: apiVersion },
        kind: { const: kind },
        metadata: objectMetaSchema,
      },
    },
  };
}
