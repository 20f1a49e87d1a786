import { batchActions, batchInputFormats, batchStates } from '@riskmodel/core/batches/batch.ts';
import { datatypeNames } from '../open-inference/datatype.ts';
import type { JsonSchema } from './record-schema.ts';

const nullableTime = { type: ['string', 'null'], format: 'date-time' };
const nullableText = { type: ['string', 'null'] };
const count = { type: 'integer', minimum: 0 };
const probability = { type: 'number', minimum: 0, maximum: 1 };

/** The schemas that do not depend on the models served, by the name they have in `components.schemas`. */
export const sharedSchemas: Readonly<Record<string, JsonSchema>> = {
  Probabilities: {
    description: 'prob_0 and prob_1: the probabilities of class 0 and class 1.',
    type: 'array',
    items: probability,
    minItems: 2,
    maxItems: 2,
    examples: [[0.8951, 0.1049]],
  },
  Detail: {
    description: 'Why the call failed.',
    type: 'object',
    required: ['detail'],
    properties: { detail: { type: 'string' } },
  },
  ValidationProblems: {
    description: 'Every field that is missing, of the wrong type or out of range.',
    type: 'object',
    required: ['detail'],
    properties: {
      detail: {
        type: 'array',
        items: {
          type: 'object',
          required: ['loc', 'msg', 'type'],
          properties: {
            loc: { type: 'array', items: { type: ['string', 'integer'] }, examples: [['body', 'AGE']] },
            msg: { type: 'string', examples: ['must be >= 18'] },
            type: { type: 'string', examples: ['greater_than_equal'] },
          },
        },
      },
    },
  },
  ProtocolError: {
    description: 'Why the call failed, in the shape of the inference protocols.',
    type: 'object',
    required: ['error'],
    properties: { error: { type: 'string', examples: ['instance 3: AGE: must be >= 18'] } },
  },
  Batch: {
    type: 'object',
    required: ['id', 'model', 'input', 'state', 'rows', 'createdAt', 'startedAt', 'finishedAt', 'output'],
    properties: {
      id: { type: 'string' },
      model: { type: 'string' },
      action: { enum: batchActions, description: 'Absent: Predict.' },
      input: { type: 'string', description: 'The URI of the input.' },
      format: { enum: batchInputFormats, description: 'Present when the request said it.' },
      state: { enum: batchStates },
      rows: {
        type: 'object',
        description: '`total` is null until the input was counted; `failed` are rows that break the input schema.',
        required: ['total', 'done', 'failed'],
        properties: { total: { type: ['integer', 'null'], minimum: 0 }, done: count, failed: count },
      },
      createdAt: { type: 'string', format: 'date-time' },
      startedAt: nullableTime,
      finishedAt: nullableTime,
      output: {
        type: 'object',
        description: 'Where the rows lie, once they do.',
        properties: {
          results: nullableText,
          metrics: nullableText,
          rejects: nullableText,
          files: { type: 'string', description: 'The folder with the result files, when the manifest asks for them.' },
        },
      },
      metrics: {
        type: 'array',
        description: "The classification report, when the input has the target's column.",
        items: {
          type: 'object',
          properties: {
            class: { enum: ['0', '1', 'accuracy', 'macro avg', 'weighted avg'] },
            precision: probability,
            recall: probability,
            f1Score: probability,
            support: count,
          },
        },
      },
      error: {
        type: 'object',
        required: ['code', 'message'],
        properties: { code: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
  BatchList: {
    type: 'object',
    required: ['batches'],
    properties: { batches: { type: 'array', items: { $ref: '#/components/schemas/Batch' } } },
  },
  StoredPrediction: {
    type: 'object',
    required: ['model', 'id', 'prob_0', 'prob_1', 'decision', 'batchId', 'modelVersion', 'predDatetime'],
    properties: {
      model: { type: 'string' },
      id: { type: 'string', description: "The record's identifier." },
      prob_0: probability,
      prob_1: probability,
      decision: { enum: [0, 1] },
      batchId: { type: 'string', description: 'The batch that made it.' },
      modelVersion: { type: 'string' },
      predDatetime: { type: 'string', format: 'date-time' },
    },
  },
  InferenceRequest: {
    type: 'object',
    required: ['inputs'],
    properties: {
      id: { type: 'string' },
      parameters: {
        type: 'object',
        properties: { binary_data_output: { type: 'boolean', description: 'Answer all outputs as binary data.' } },
      },
      inputs: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          required: ['name', 'shape', 'datatype'],
          properties: {
            name: { type: 'string' },
            shape: { type: 'array', items: count },
            datatype: { enum: datatypeNames },
            data: {
              type: 'array',
              description: 'Flat, or nested as the shape says. Absent for binary data.',
              items: {},
            },
            parameters: { type: 'object', properties: { binary_data_size: count } },
          },
        },
      },
      outputs: {
        type: 'array',
        items: {
          type: 'object',
          required: ['name'],
          properties: {
            name: { type: 'string' },
            parameters: { type: 'object', properties: { binary_data: { type: 'boolean' } } },
          },
        },
      },
    },
  },
  InferenceResponse: {
    type: 'object',
    required: ['model_name', 'model_version', 'outputs'],
    properties: {
      model_name: { type: 'string' },
      model_version: { type: 'string' },
      id: { type: 'string' },
      outputs: {
        type: 'array',
        items: {
          type: 'object',
          required: ['name', 'shape', 'datatype'],
          properties: {
            name: { type: 'string' },
            shape: { type: 'array', items: count },
            datatype: { type: 'string' },
            data: { type: 'array', items: { type: 'number' } },
            parameters: { type: 'object', properties: { binary_data_size: count } },
          },
        },
      },
    },
  },
};
