import { Ajv, type ErrorObject, type Options } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import type { StructuralSchema } from './structural-schema.ts';

// Programs don't load this file, nor Ajv, which take a tenth of a second of each start: they check with the functions that
// `npm run generate` writes with it.

/** Whether a value is what a schema says, and, until it is asked again, in `errors` why it is not. */
export interface SchemaCheck {
  (value: unknown): boolean;
  errors?: ErrorObject[] | null;
}

const options: Options = {
  allErrors: true,
  verbose: true,
  strict: false,
  strictNumbers: true,
  coerceTypes: false,
  validateFormats: false,
  code: { source: true, esm: true },
};

const runtimeImport = 'require("ajv/dist/runtime/ucs2length")';

/**
 * The text of a module that exports the check of a schema as `checkSchema`, a `SchemaCheck`
 * (https://ajv.js.org/standalone.html).
 * @throws Error when JSON schema does not allow the schema, or the check needs a part of Ajv that the module does not import
 */
export function writeSchemaCheck(schema: StructuralSchema): string {
  const ajv = new Ajv(options);
  ajv.addSchema(toJsonSchema(schema), 'schema');
  // Ajv writes `require` into modules too.
  const code = standalone.default(ajv, { checkSchema: 'schema' }).replaceAll(runtimeImport, 'ucs2length');
  if (code.includes('require('))
    throw new Error(`a part of Ajv is not imported: ${/require\([^)]*\)/.exec(code)?.[0]}`);
  return `import ucs2length from 'ajv/dist/runtime/ucs2length.js';\n${code}\n`;
}

const copiedKeywords = [
  'type',
  'enum',
  'const',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'required',
  'x-kubernetes-int-or-string',
] as const;

/** The JSON schema with a structural schema's meaning, in which an object has no fields but those that are named. */
function toJsonSchema(schema: StructuralSchema): Record<string, unknown> {
  const converted: Record<string, unknown> = {};
  for (const keyword of copiedKeywords) {
    if (schema[keyword] !== undefined) converted[keyword] = schema[keyword];
  }
  if (schema['x-kubernetes-int-or-string']) converted['type'] = ['integer', 'string'];
  if (schema.nullable) converted['type'] = [converted['type'], 'null'].flat();
  if (schema.items) converted['items'] = toJsonSchema(schema.items);
  if (schema.properties) converted['properties'] = mapValues(schema.properties, toJsonSchema);
  if (schema.type === 'object' && !schema['x-kubernetes-preserve-unknown-fields']) {
    converted['additionalProperties'] = schema.additionalProperties ? toJsonSchema(schema.additionalProperties) : false;
  }
  return converted;
}

function mapValues<In, Out>(object: Readonly<Record<string, In>>, map: (value: In) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}
