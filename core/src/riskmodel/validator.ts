import type { ErrorObject } from 'ajv';
import { compileRules } from './cel.ts';
import { applyDefaults, isObject } from './defaults.ts';
import { childPath } from './problem.ts';
import type { Problem } from './problem.ts';
import type { SchemaCheck } from './schema-check.ts';
import { nearest } from './spelling.ts';
import type { StructuralSchema } from './structural-schema.ts';

/** An object with its defaults, and what is wrong with it: nothing, when `problems` is empty. */
export interface Validation {
  value: unknown;
  problems: Problem[];
}

/**
 * Makes the check that the API server makes of a CRD's objects, from the same schema: defaults, types and limits,
 * unknown fields (which `kubectl apply` refuses too), uniqueness in lists, then the CEL rules. Nothing is converted:
 * `"5"` is no number.
 * @param checkSchema what `npm run generate` has made of the schema
 * @returns a function that copies the object it is given and never throws.
 */
export function makeValidator(schema: StructuralSchema, checkSchema: SchemaCheck): (object: unknown) => Validation {
  const checkRules = compileRules(schema);
  return (object) => {
    const value = applyDefaults(object, schema);
    checkSchema(value);
    const found = (checkSchema.errors ?? []).map((error) => ({
      keyword: error.keyword,
      problem: explain(error, value),
    }));
    const pathsOf = (isMeant: (keyword: string) => boolean): string[] =>
      found.filter(({ keyword }) => isMeant(keyword)).map(({ problem }) => problem.path);
    const broken = pathsAbove(pathsOf((keyword) => blocksRules.has(keyword)));
    const wrongType = new Set(pathsOf((keyword) => keyword === 'type'));
    const problems = [
      ...found
        .filter(({ keyword, problem }) => keyword === 'type' || !wrongType.has(problem.path))
        .map(({ problem }) => problem),
      ...findDuplicates(value, schema, ''),
      ...checkRules(value, (path) => broken.has(path)),
    ];
    return { value, problems: problems.sort((a, b) => collator.compare(a.path, b.path)) };
  };
}

/** Reads numbers as numbers, so that features[10] comes after features[9]. */
const collator = new Intl.Collator('en', { numeric: true });

/** The keywords after whose failure the API server doesn't run rules, for they count on what the schema promises. */
const blocksRules = new Set(['type', 'required', 'enum', 'maxLength', 'maxItems', 'maxProperties']);

/** The paths and all that contain them: `a.b[0]` makes `a.b[0]`, `a.b`, `a` and the empty path. */
function pathsAbove(paths: string[]): Set<string> {
  const above = new Set<string>();
  for (let path of paths) {
    while (path !== '') {
      above.add(path);
      path = path.replace(/(^|\.)[^.[\]]+$|\[[^\]]*\]$/, '');
    }
    above.add('');
  }
  return above;
}

/** Says in words what a keyword of the schema demands. */
function explain(error: ErrorObject, root: unknown): Problem {
  const path = toPath(error.instancePath, root);
  const { keyword, data } = error;
  const params = error.params as Record<string, unknown>;
  const parentSchema = error.parentSchema as Record<string, unknown>;
  const limit = String(params['limit']);
  switch (keyword) {
    case 'required':
      return { path: childPath(path, String(params['missingProperty'])), message: 'is required' };
    case 'additionalProperties': {
      const name = String(params['additionalProperty']);
      const known = nearest(name, Object.keys(parentSchema['properties'] ?? {}));
      const hint = known === undefined ? '' : ` (did you mean "${known}"?)`;
      return { path: childPath(path, name), message: `unknown field${hint}` };
    }
    case 'type':
      return { path, message: `must be ${nameTypes(params['type'])}, not ${describe(data)}` };
    case 'enum':
      return {
        path,
        message: `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}, not ${quote(data)}`,
      };
    case 'const':
      return { path, message: `must be ${String(params['allowedValue'])}, not ${quote(data)}` };
    case 'pattern':
      if (parentSchema['x-kubernetes-int-or-string']) {
        return { path, message: `must be a quantity such as 500m or 512Mi, not ${quote(data)}` };
      }
      return { path, message: `must match ${String(params['pattern'])}, not ${quote(data)}` };
    case 'minimum':
      return { path, message: `must be >= ${limit}, not ${quote(data)}` };
    case 'maximum':
      return { path, message: `must be <= ${limit}, not ${quote(data)}` };
    case 'minLength':
      return { path, message: limit === '1' ? 'must not be empty' : `must have at least ${limit} characters` };
    case 'maxLength':
      return { path, message: `must have at most ${limit} characters` };
    case 'minItems':
      return { path, message: limit === '1' ? 'must not be empty' : `must have at least ${limit} items` };
    case 'maxItems':
      return { path, message: `must have at most ${limit} items, not ${(data as unknown[]).length}` };
    case 'minProperties':
      return {
        path,
        message: `must have one or more of ${Object.keys(parentSchema['properties'] as object).join(', ')}`,
      };
    case 'maxProperties':
      return { path, message: `must have at most ${limit} fields` };
    default:
      return { path, message: error.message ?? `must satisfy ${keyword}` };
  }
}

/** `/spec/features/3/name` as `spec.features[3].name`; only the value tells an index from a field named `3`. */
function toPath(pointer: string, root: unknown): string {
  let path = '';
  let value = root;
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    path = childPath(path, Array.isArray(value) ? Number(name) : name);
    value = (value as Record<string, unknown>)[name];
  }
  return path;
}

const typeNames: Record<string, string> = {
  object: 'a mapping',
  array: 'a list',
  string: 'a string',
  number: 'a number',
  integer: 'an integer',
  boolean: 'true or false',
  null: 'null',
};

function nameTypes(types: unknown): string {
  return [types]
    .flat()
    .map((type) => typeNames[String(type)] ?? String(type))
    .join(' or ');
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return `the ${typeof value} ${quote(value)}`;
}

const quotedLength = 60;

function quote(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length <= quotedLength ? text : `${text.slice(0, quotedLength)}...`;
}

/** The items of x-kubernetes-list-type set and map that repeat an earlier one. */
function findDuplicates(value: unknown, schema: StructuralSchema, path: string): Problem[] {
  if (Array.isArray(value)) {
    const items: unknown[] = value;
    const nested = schema.items
      ? items.flatMap((item, index) => findDuplicates(item, schema.items as StructuralSchema, childPath(path, index)))
      : [];
    return [...findRepeatedItems(items, schema, path), ...nested];
  }
  if (!isObject(value)) return [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
    findDuplicates(value[name], property, childPath(path, name)),
  );
}

function findRepeatedItems(items: unknown[], schema: StructuralSchema, path: string): Problem[] {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return [];
  const keys = listType === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : [];
  const firstIndex = new Map<string, number>();
  const problems: Problem[] = [];
  for (const [index, item] of items.entries()) {
    const identity = listType === 'map' ? keys.map((key) => (isObject(item) ? item[key] : undefined)) : [item];
    if (identity.includes(undefined)) continue;
    const text = identity.map((part) => JSON.stringify(part)).join(', ');
    const first = firstIndex.get(text);
    if (first === undefined) {
      firstIndex.set(text, index);
      continue;
    }
    const itemPath = childPath(path, index);
    const [onlyKey, ...otherKeys] = keys;
    problems.push({
      path: onlyKey !== undefined && otherKeys.length === 0 ? childPath(itemPath, onlyKey) : itemPath,
      message: `duplicate ${text} (first at ${childPath(path, first)})`,
    });
  }
  return problems;
}
