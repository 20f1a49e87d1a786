import { Environment } from '@marcbachmann/cel-js';
import { isObject } from './defaults.ts';
import { childPath } from './problem.ts';
import type { Problem } from './problem.ts';
import type { StructuralSchema, ValidationRule } from './structural-schema.ts';

// The rules of a CRD (x-kubernetes-validations), run here as the API server runs them there. What differs between this
// CEL and Kubernetes' is kept out of the rules: fields whose names CEL escapes (`namespace`), the Kubernetes libraries
// (quantities, URLs, sets), int() of a double beyond 2^63, and string() of a double that Go prints with an exponent.

const environment = new Environment({ unlistedVariablesAreDyn: true }).registerFunction(
  'string.replace(string, string): string',
  (text: string, search: string, replacement: string) => text.split(search).join(replacement),
);

type Expression = (context: { self: unknown }) => unknown;

interface CompiledRule {
  fieldPath: string;
  holds: Expression;
  explain: Expression | undefined;
  message: string;
}

/** A schema with its rules parsed; parts of the schema without any rule beneath them are left out. */
interface CompiledSchema {
  schema: StructuralSchema;
  rules: CompiledRule[];
  properties: [name: string, compiled: CompiledSchema][];
  items: CompiledSchema | undefined;
}

/**
 * Parses the rules of a schema once.
 * @returns a function that lists what the rules find wrong with an object that has its defaults. `isBroken` tells
 *   whether the value at a path has a problem that rules can't be asked about (a wrong type, a missing field); there,
 *   and above it, no rule runs.
 * @throws ParseError when a rule is not CEL.
 */
export function compileRules(
  schema: StructuralSchema,
): (value: unknown, isBroken: (path: string) => boolean) => Problem[] {
  const compiled = compileSchema(schema);
  return (value, isBroken) => {
    const problems: Problem[] = [];
    if (compiled) checkRules(compiled, toCel(value, schema), '', isBroken, problems);
    return problems;
  };
}

function compileSchema(schema: StructuralSchema): CompiledSchema | undefined {
  const rules = (schema['x-kubernetes-validations'] ?? []).filter(({ rule }) => !isTransition(rule)).map(compileRule);
  const properties = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const compiled = compileSchema(property);
    return compiled ? [[name, compiled] as [string, CompiledSchema]] : [];
  });
  const items = schema.items && compileSchema(schema.items);
  if (rules.length === 0 && properties.length === 0 && !items) return undefined;
  return { schema, rules, properties, items };
}

/** A transition rule compares with the object before an update; a manifest in a file has no before. */
function isTransition(rule: string): boolean {
  return /\boldSelf\b/.test(rule);
}

function compileRule({ rule, message, messageExpression, fieldPath }: ValidationRule): CompiledRule {
  return {
    fieldPath: fieldPath ?? '',
    holds: environment.parse(rule) as Expression,
    explain: messageExpression === undefined ? undefined : (environment.parse(messageExpression) as Expression),
    message: message ?? `failed rule: ${rule.trim()}`,
  };
}

function checkRules(
  { rules, properties, items }: CompiledSchema,
  self: unknown,
  path: string,
  isBroken: (path: string) => boolean,
  problems: Problem[],
): void {
  if (rules.length > 0 && !isBroken(path)) {
    for (const rule of rules) {
      if (evaluate(rule.holds, self) === true) continue;
      const explanation = rule.explain && evaluate(rule.explain, self);
      problems.push({
        path: `${path}${rule.fieldPath}`.replace(/^\./, ''),
        message: typeof explanation === 'string' && explanation.trim() !== '' ? explanation.trim() : rule.message,
      });
    }
  }
  if (Array.isArray(self) && items) {
    for (const [index, item] of self.entries()) checkRules(items, item, childPath(path, index), isBroken, problems);
  }
  if (isObject(self)) {
    for (const [name, property] of properties) {
      if (self[name] !== undefined) checkRules(property, self[name], childPath(path, name), isBroken, problems);
    }
  }
}

/** An expression that fails has no value: a rule then doesn't hold, and a message expression gives way to the message. */
function evaluate(expression: Expression, self: unknown): unknown {
  try {
    return expression({ self });
  } catch {
    return undefined;
  }
}

/** CEL's view of a value: int is bigint and double is number, as the schema says; fields it doesn't name are hidden. */
function toCel(value: unknown, schema: StructuralSchema): unknown {
  if (typeof value === 'number') {
    const isInt = schema.type === 'integer' || schema['x-kubernetes-int-or-string'] === true;
    return isInt && Number.isInteger(value) ? BigInt(value) : value;
  }
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema.items ?? {}));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, child]) => {
      const childSchema = schema.properties?.[name] ?? schema.additionalProperties;
      return childSchema ? [[name, toCel(child, childSchema)]] : [];
    }),
  );
}
