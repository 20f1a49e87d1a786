// Makes two files of each kind's CRD: its types, those of a manifest after defaulting, so a field that the CRD gives a
// default to is never undefined; and its schema as JSON, since programs would take a tenth of a second at each start to
// parse the YAML. `--check` compares instead of writing.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { compile } from 'json-schema-to-typescript';
import { batchPredictionCrdFile, readResourceKind, riskModelCrdFile } from '../core/src/riskmodel/resource-kind.ts';
import type { StructuralSchema } from '../core/src/riskmodel/structural-schema.ts';

const root = join(import.meta.dirname, '..');

type JsonSchema = Parameters<typeof compile>[0];

interface Source {
  crdFile: string;
  /** The files to make, without their endings. */
  target: string;
  /** The exported name of each object in the schema that deserves one, by its path. */
  typeNames: Record<string, string>;
}

const riskModelTypes: Record<string, string> = {
  '.metadata': 'ObjectMeta',
  '.spec': 'RiskModelSpec',
  '.spec.artifact': 'Artifact',
  '.spec.features[]': 'Feature',
  '.spec.features[].type': 'FeatureType',
  '.spec.features[].whenMissing': 'WhenMissing',
  '.spec.artifact.format': 'ArtifactFormat',
  '.spec.decision': 'Decision',
  '.spec.online': 'Online',
  '.spec.online.replicas': 'Replicas',
  '.spec.online.resources': 'ResourceRequirements',
  '.spec.online.cache': 'Cache',
  '.spec.batch': 'Batch',
  '.spec.batch.workers': 'Workers',
  '.spec.batch.resources': 'ResourceRequirements',
  '.spec.batch.output': 'BatchOutput',
  '.spec.batch.schedules[]': 'BatchSchedule',
  '.spec.batch.triggers[]': 'BatchTrigger',
  '.status': 'RiskModelStatus',
  '.status.conditions[]': 'Condition',
  '.status.artifact': 'ArtifactStatus',
  '.status.lastBatch': 'LastBatch',
  '.status.lastBatch.state': 'BatchState',
  '.status.lastBatch.rows': 'BatchRows',
};

const batchPredictionTypes: Record<string, string> = {
  '.metadata': 'ObjectMeta',
  '.spec': 'BatchPredictionSpec',
  '.spec.action': 'BatchAction',
  '.spec.input': 'BatchInput',
  '.spec.input.format': 'BatchInputFormat',
  '.status': 'BatchPredictionStatus',
  '.status.conditions[]': 'Condition',
  '.status.state': 'BatchState',
  '.status.rows': 'BatchRows',
  '.status.output': 'BatchTables',
  '.status.metrics[]': 'MetricsRow',
  '.status.error': 'BatchError',
};

const sources: Source[] = [
  {
    crdFile: riskModelCrdFile,
    target: join(root, 'core/src/riskmodel/zz_generated.riskmodel'),
    typeNames: riskModelTypes,
  },
  {
    crdFile: batchPredictionCrdFile,
    target: join(root, 'core/src/batchprediction/zz_generated.batchprediction'),
    typeNames: batchPredictionTypes,
  },
];

interface Naming {
  typeNames: Record<string, string>;
  /** Filled with the schemas of the types that have a name. */
  definitions: Record<string, JsonSchema>;
}

/**
 * Turns the CRD's schema into a JSON schema whose types are those after defaulting: objects are closed, fields with a
 * default are required, what has a name goes to `definitions` and is referred to by that name.
 */
function afterDefaulting(schema: StructuralSchema, path: string, naming: Naming): JsonSchema {
  if (schema['x-kubernetes-int-or-string']) return { tsType: 'number | string' };
  if (schema['x-kubernetes-preserve-unknown-fields']) return { tsType: 'Record<string, unknown>' };
  const converted: JsonSchema = {};
  if (schema.type !== undefined) converted.type = schema.type;
  if (schema.description !== undefined) converted.description = schema.description;
  if (schema.enum !== undefined) converted.enum = [...schema.enum] as JsonSchema['enum'] & unknown[];
  if (schema.const !== undefined) converted.const = schema.const as string;
  if (schema.items) converted.items = afterDefaulting(schema.items, `${path}[]`, naming);
  if (schema.type === 'object') {
    converted.additionalProperties = schema.additionalProperties
      ? afterDefaulting(schema.additionalProperties, `${path}{}`, naming)
      : false;
  }
  if (schema.properties) {
    const properties = Object.entries(schema.properties);
    converted.properties = Object.fromEntries(
      properties.map(([name, property]) => [name, afterDefaulting(property, `${path}.${name}`, naming)]),
    );
    const defaulted = properties.filter(([, property]) => property.default !== undefined).map(([name]) => name);
    converted.required = [...new Set([...(schema.required ?? []), ...defaulted])];
  }
  const name = naming.typeNames[path];
  if (name === undefined) return converted;
  naming.definitions[name] = converted;
  return { tsType: name, ...(schema.description !== undefined && { description: schema.description }) };
}

async function generateTypes({ crdFile, typeNames }: Source): Promise<string> {
  const { kind, schema } = readResourceKind(crdFile);
  const definitions: Record<string, JsonSchema> = {};
  const converted = afterDefaulting(schema, '', { typeNames, definitions });
  const types = await compile({ ...converted, definitions }, kind, {
    bannerComment: [
      `// Code generated by scripts/generate-types.ts from ${relative(root, crdFile)}. DO NOT EDIT: run \`npm run generate\`.`,
      '// The types are those of a manifest after defaulting.',
    ].join('\n'),
    ignoreMinAndMaxItems: true,
    unreachableDefinitions: true,
  });
  return types.replaceAll(/ \*\n \* This interface was referenced by .*\n \* via the `definition` .*\n/g, '');
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function writeOrCheck(file: string, generated: string, crdFile: string): void {
  if (!process.argv.includes('--check')) {
    writeFileSync(file, generated);
  } else if (readIfThere(file) !== generated) {
    console.error(`${relative(root, file)} is not what ${relative(root, crdFile)} makes: run npm run generate`);
    process.exitCode = 1;
  }
}

for (const source of sources) {
  const { target, crdFile } = source;
  writeOrCheck(`${target}.ts`, await generateTypes(source), crdFile);
  writeOrCheck(`${target}.json`, `${JSON.stringify(readResourceKind(crdFile), undefined, 1)}\n`, crdFile);
}
