import { batchActions, batchInputFormats } from '@riskmodel/core/batches/batch.ts';
import type { Model } from '@riskmodel/core/model/model.ts';
import type { Guard } from '../auth/guard.ts';
import type { ServedModels } from '../serving/served-models.ts';
import { decisionOutput } from '../open-inference/inference-request.ts';
import { exampleRecord, exampleValue } from './example-values.ts';
import { bodyFailures, operation, schemaRef } from './operations.ts';
import { recordSchema } from './record-schema.ts';
import { addSecurity, describeSecurity } from './security.ts';
import { sharedSchemas } from './shared-schemas.ts';

type Paths = Record<string, Record<string, unknown>>;

const detail = schemaRef('Detail');
const protocolError = schemaRef('ProtocolError');
const noRedis: [string, typeof detail] = ['Redis is away; see Retry-After. Online predictions go on.', detail];
const overloaded = 'Too many rows wait for the model; see Retry-After.';
const location = { Location: { description: 'Where to look at the batch.', schema: { type: 'string' } } };

/**
 * The OpenAPI 3.1 document of this server, made from the manifests of the models it serves.
 * @param version the server's version
 * @param guard who is asked who they are, and what is counted
 */
export function makeOpenApiDocument(
  models: ServedModels,
  version: string,
  guard: Pick<Guard, 'methods' | 'limited'>,
): unknown {
  const all = [...models].map(({ model }) => model);
  const { securitySchemes, security } = describeSecurity(guard);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Credit-risk predictions',
      version,
      description: `Online and batch predictions of ${all.map(({ name, version }) => `${name} (version ${version})`).join(', ')}.`,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'Predictions', description: 'One applicant at a time, or a few.' },
      { name: 'Batches', description: 'Files of applicants, scored into the warehouse.' },
      { name: 'Open Inference Protocol', description: 'KServe, Triton and MLServer clients work with these.' },
      { name: 'Operation', description: 'Probes and metrics.' },
    ],
    ...(security && { security }),
    paths: addSecurity(
      {
        ...(models.default === undefined ? {} : originalPaths(models.default.model)),
        ...v1Paths(all),
        ...batchPaths(all),
        ...lookupPaths(models),
        ...openInferencePaths(all),
        ...operationPaths(),
      },
      guard,
    ),
    components: {
      ...(securitySchemes && { securitySchemes }),
      schemas: {
        ...sharedSchemas,
        ...Object.fromEntries(all.map(({ name, manifest }) => [recordName(name), recordSchema(manifest.spec)])),
      },
    },
  };
}

/** Model names are DNS labels, which are valid names of components. */
function recordName(model: string): string {
  return `Record.${model}`;
}

function originalPaths({ name, manifest }: Model): Paths {
  return {
    '/risk-online-prediction': {
      post: operation({
        id: 'predictOnline',
        tag: 'Predictions',
        summary: `Predict one applicant's risk with ${name}`,
        description: 'Fields that are no feature of the model, such as BATCH_FLAG, are ignored.',
        body: { schema: schemaRef(recordName(name)), example: exampleRecord(manifest.spec.features) },
        responses: {
          200: ['prob_0 and prob_1', schemaRef('Probabilities')],
          ...bodyFailures(detail),
          422: ['Fields are missing, of the wrong type or out of range.', schemaRef('ValidationProblems')],
          500: ['The model failed.', detail],
          503: [overloaded, detail],
        },
      }),
    },
    '/risk-batch-prediction': {
      post: operation({
        id: 'predictBatch',
        tag: 'Batches',
        summary: `Score a file with ${name} and wait for it`,
        parameters: [
          {
            name: 'Prefer',
            in: 'header',
            description: '`respond-async` answers 202 at once instead of waiting.',
            schema: { type: 'string', examples: ['respond-async'] },
          },
        ],
        body: {
          schema: {
            type: 'object',
            required: ['BUCKET_NAME', 'FILEPATH'],
            properties: { BUCKET_NAME: { type: 'string' }, FILEPATH: { type: 'string' } },
          },
          example: { BUCKET_NAME: 'applicants', FILEPATH: 'sample.json' },
        },
        responses: {
          200: ['The batch is done.', { const: 'Done' }, location],
          202: ['The batch was accepted.', schemaRef('Batch'), location],
          ...bodyFailures(detail),
          404: ['There is no such file.', detail],
          409: ['The batch was cancelled.', detail],
          422: [
            "The body is not as above, or the file can't be scored.",
            { anyOf: [schemaRef('ValidationProblems'), detail] },
          ],
          500: ['The batch failed.', detail],
          503: noRedis,
        },
      }),
    },
  };
}

function v1Paths(models: readonly Model[]): Paths {
  const paths: Paths = {
    '/v1/models': {
      get: operation({
        id: 'listModels',
        tag: 'Predictions',
        summary: 'The models served',
        responses: {
          200: ['Names', { type: 'object', properties: { models: { type: 'array', items: { type: 'string' } } } }],
        },
      }),
    },
  };
  const readyState = {
    type: 'object',
    properties: { name: { type: 'string' }, ready: { type: 'boolean' } },
  };
  for (const { name, manifest, encoder } of models) {
    paths[`/v1/models/${name}`] = {
      get: operation({
        id: `getModel.${name}`,
        tag: 'Predictions',
        summary: `Whether ${name} is ready`,
        responses: { 200: ['Ready', readyState], 503: ['Not ready', readyState] },
      }),
    };
    paths[`/v1/models/${name}:predict`] = {
      post: operation({
        id: `predict.${name}`,
        tag: 'Predictions',
        summary: `Predict with ${name} (KServe V1, Vertex AI)`,
        body: {
          schema: {
            type: 'object',
            required: ['instances'],
            properties: {
              instances: {
                type: 'array',
                items: {
                  anyOf: [
                    schemaRef(recordName(name)),
                    {
                      type: 'array',
                      description: `The features in order: ${encoder.names.join(', ')}`,
                      items: { type: ['number', 'boolean', 'null'] },
                      minItems: encoder.width,
                      maxItems: encoder.width,
                    },
                  ],
                },
              },
            },
          },
          example: { instances: [exampleRecord(manifest.spec.features)] },
        },
        responses: {
          200: [
            'prob_0 and prob_1 of each instance, in order',
            {
              type: 'object',
              required: ['predictions'],
              properties: { predictions: { type: 'array', items: schemaRef('Probabilities') } },
            },
          ],
          ...bodyFailures(protocolError),
          400: ['The body is not as above; the message names the instance and the feature.', protocolError],
          500: ['The model failed.', protocolError],
          503: [overloaded, protocolError],
        },
      }),
    };
  }
  return paths;
}

function batchPaths(models: readonly Model[]): Paths {
  const names = models.map(({ name }) => name);
  const model = { type: 'string', enum: names };
  const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } };
  return {
    '/batches': {
      post: operation({
        id: 'submitBatch',
        tag: 'Batches',
        summary: 'Submit a batch',
        parameters: [
          {
            name: 'Idempotency-Key',
            in: 'header',
            description: 'The same as idempotencyKey in the body.',
            schema: { type: 'string', maxLength: 256 },
          },
        ],
        body: {
          schema: {
            type: 'object',
            required: names.length === 1 ? ['input'] : ['model', 'input'],
            properties: {
              model,
              action: {
                enum: batchActions,
                default: 'Predict',
                description: "LoadFeatures writes the file's features to the model's feature store.",
              },
              input: {
                type: 'string',
                description: 'gs://BUCKET/PATH; several files as one: gs://BUCKET/FOLDER/, or gs://BUCKET/day=*/*.csv',
                pattern: '^gs://[^/]+/.+$',
              },
              format: {
                enum: batchInputFormats,
                description: "The input's format, where its name and first bytes don't tell it.",
              },
              idempotencyKey: {
                type: 'string',
                description: 'Two requests with the same key are one batch.',
                minLength: 1,
                maxLength: 256,
              },
            },
          },
          example: { model: names[0], input: 'gs://applicants/sample.json' },
        },
        responses: {
          200: ['The batch of this idempotency key, which has ended.', schemaRef('Batch'), location],
          202: ['The batch was accepted.', schemaRef('Batch'), location],
          ...bodyFailures(detail),
          404: ['There is no such model.', detail],
          409: ['The idempotency key was used for another input, or another format.', detail],
          422: ['The body is not as above.', schemaRef('ValidationProblems')],
          503: noRedis,
        },
      }),
      get: operation({
        id: 'listBatches',
        tag: 'Batches',
        summary: 'The newest batches',
        parameters: [
          { name: 'model', in: 'query', schema: model },
          { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 1000, default: 50 } },
        ],
        responses: {
          200: ['Batches, the newest first', schemaRef('BatchList')],
          422: ['A parameter is not as above.', schemaRef('ValidationProblems')],
          503: noRedis,
        },
      }),
    },
    '/notifications': {
      post: operation({
        id: 'takeNotification',
        tag: 'Batches',
        summary: "Take a bucket's notification, as a Pub/Sub push subscription delivers it",
        body: {
          schema: {
            type: 'object',
            required: ['message'],
            properties: {
              message: {
                type: 'object',
                properties: { attributes: { type: 'object', additionalProperties: { type: 'string' } } },
              },
              subscription: { type: 'string' },
            },
          },
          example: {
            message: {
              attributes: {
                eventType: 'OBJECT_FINALIZE',
                bucketId: 'applicants',
                objectId: 'sample.json',
                objectGeneration: '1763856000000000',
              },
            },
          },
        },
        responses: {
          204: ['It is done with; the batches that it is for are queued.'],
          ...bodyFailures(detail),
          422: ['It is no notification of Cloud Storage.', schemaRef('ValidationProblems')],
          503: noRedis,
        },
      }),
    },
    '/batches/{id}': {
      get: operation({
        id: 'getBatch',
        tag: 'Batches',
        summary: 'A batch and its progress',
        parameters: [id],
        responses: { 200: ['The batch', schemaRef('Batch')], 404: ['There is no such batch.', detail], 503: noRedis },
      }),
      delete: operation({
        id: 'cancelBatch',
        tag: 'Batches',
        summary: 'Call a batch off',
        parameters: [id],
        responses: {
          200: ['The batch, cancelled', schemaRef('Batch')],
          404: ['There is no such batch.', detail],
          409: ['It is being committed, or has ended.', detail],
          503: noRedis,
        },
      }),
    },
  };
}

function lookupPaths(models: ServedModels): Paths {
  const model = { name: 'model', in: 'query', schema: { type: 'string', enum: models.names } };
  return {
    '/predictions/{id}': {
      get: operation({
        id: 'getPrediction',
        tag: 'Batches',
        summary: 'The latest prediction that a batch made of a record',
        description: 'For models whose manifest has spec.batch.lookup.',
        parameters: [
          {
            name: 'id',
            in: 'path',
            required: true,
            description: "The record's identifier.",
            schema: { type: 'string' },
          },
          models.default === undefined ? { ...model, required: true } : model,
        ],
        responses: {
          200: ['The prediction', schemaRef('StoredPrediction')],
          404: ['There is no prediction under this identifier, or no such model.', detail],
          422: ['The model is not named as above.', schemaRef('ValidationProblems')],
          503: ['Redis is away; see Retry-After.', detail],
        },
      }),
    },
  };
}

function openInferencePaths(models: readonly Model[]): Paths {
  const tag = 'Open Inference Protocol';
  const anything = { type: 'object' };
  const paths: Paths = {
    '/v2': {
      get: operation({ id: 'serverMetadata', tag, summary: 'The server', responses: { 200: ['Metadata', anything] } }),
    },
    '/v2/health/live': {
      get: operation({
        id: 'serverLive',
        tag,
        summary: 'Whether it is alive',
        responses: { 200: ['Alive', anything] },
      }),
    },
    '/v2/health/ready': {
      get: operation({
        id: 'serverReady',
        tag,
        summary: 'Whether it is ready',
        responses: { 200: ['Ready', anything], 503: ['Not ready', anything] },
      }),
    },
  };
  for (const model of models) {
    for (const [path, suffix] of [
      [`/v2/models/${model.name}`, ''],
      [`/v2/models/${model.name}/versions/${encodeURIComponent(model.version)}`, '.version'],
    ] as const) {
      const id = `${model.name}${suffix}`;
      paths[path] = {
        get: operation({
          id: `modelMetadata.${id}`,
          tag,
          summary: `What ${model.name} takes and gives`,
          responses: { 200: ['Metadata', anything] },
        }),
      };
      paths[`${path}/ready`] = {
        get: operation({
          id: `modelReady.${id}`,
          tag,
          summary: `Whether ${model.name} is ready`,
          responses: { 200: ['Ready', anything], 503: ['Not ready', anything] },
        }),
      };
      paths[`${path}/infer`] = { post: inferOperation(model, id) };
    }
  }
  return paths;
}

function inferOperation({ name, session, encoder, manifest }: Model, id: string): unknown {
  return operation({
    id: `infer.${id}`,
    tag: 'Open Inference Protocol',
    summary: `Predict with ${name}`,
    description:
      `Inputs: one tensor [N, ${encoder.width}] with the features in order, or one tensor [N] or [N, 1] for each feature, ` +
      `named by it. Outputs: ${session.outputName} FP32 [N, 2] and ${decisionOutput} INT64 [N]. Tensors may be sent and ` +
      'asked for as binary data (the binary tensor data extension).',
    body: {
      schema: schemaRef('InferenceRequest'),
      example: {
        inputs: [
          {
            name: session.inputName,
            shape: [1, encoder.width],
            datatype: 'FP32',
            data: manifest.spec.features.map((feature) => Number(exampleValue(feature))),
          },
        ],
      },
    },
    responses: {
      200: ['The outputs', schemaRef('InferenceResponse')],
      ...bodyFailures(protocolError),
      400: ['The request is not as the protocol says, or a value is refused; the message names both.', protocolError],
      500: ['The model failed.', protocolError],
      503: [overloaded, protocolError],
    },
  });
}

function operationPaths(): Paths {
  const tag = 'Operation';
  const status = { type: 'object', properties: { status: { type: 'string' }, reason: { type: 'string' } } };
  return {
    '/healthcheck': {
      get: operation({ id: 'healthcheck', tag, summary: 'Whether it works', responses: { 200: ['It does.', status] } }),
    },
    '/livez': {
      get: operation({
        id: 'livez',
        tag,
        summary: 'Whether the process is alive',
        responses: { 200: ['It is.', status] },
      }),
    },
    '/readyz': {
      get: operation({
        id: 'readyz',
        tag,
        summary: 'Whether to send it requests',
        responses: { 200: ['Ready', status], 503: ['Not ready, and why', status] },
      }),
    },
    '/metrics': {
      get: operation({ id: 'metrics', tag, summary: "Metrics in Prometheus' format", responses: { 200: ['Text'] } }),
    },
  };
}
