import type { StructuralSchema } from './structural-schema.ts';

/** Whether a value is an object in the sense of JSON: no null, no list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Returns a copy of `value` with the schema's defaults in place, as the API server makes it: a field that is absent, or
 * null though the schema doesn't say nullable, takes its default; such a null without a default is as good as absent.
 * Unknown fields and values of the wrong type stay as they are, for validation to find.
 */
export function applyDefaults(value: unknown, schema: StructuralSchema): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.map((item) => applyDefaults(item, items)) : structuredClone(value);
  }
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = {};
  for (const [name, child] of Object.entries(value)) {
    const childSchema = schema.properties?.[name] ?? (schema.additionalProperties || undefined);
    if (child === undefined || (child === null && childSchema && !childSchema.nullable)) continue;
    result[name] = childSchema ? applyDefaults(child, childSchema) : structuredClone(child);
  }
  for (const [name, childSchema] of Object.entries(schema.properties ?? {})) {
    if (!Object.hasOwn(result, name) && childSchema.default !== undefined) {
      result[name] = applyDefaults(childSchema.default, childSchema);
    }
  }
  return result;
}
