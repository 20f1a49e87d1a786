import type { JsonSchema } from './record-schema.ts';

/** What `operation` makes of an OpenAPI operation. */
export interface OperationOptions {
  id: string;
  tag: string;
  summary: string;
  description?: string;
  parameters?: unknown[];
  /** The schema of the JSON body, and its example. */
  body?: { schema: JsonSchema; example?: unknown };
  /** By status: what it means, and the schema of its JSON unless it has none. */
  responses: Record<number, [description: string, schema?: JsonSchema | undefined, headers?: JsonSchema | undefined]>;
}

export function schemaRef(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

/** One call of the API. */
export function operation(options: OperationOptions): unknown {
  const { id, tag, summary, description, parameters, body, responses } = options;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: { 'application/json': body } } }),
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, [description, schema, headers]]) => [
        status,
        {
          description,
          ...(headers === undefined ? {} : { headers }),
          ...(schema === undefined ? {} : { content: { 'application/json': { schema } } }),
        },
      ]),
    ),
  };
}

/** What every call with a JSON body may answer; `error` is the protocol's shape of an error. */
export function bodyFailures(error: JsonSchema): OperationOptions['responses'] {
  return {
    400: ['The body is not valid JSON. The position is told, the content is not repeated.', error],
    413: ['The body is larger than the limit.', error],
    415: ['The body is not declared as JSON.', error],
  };
}
