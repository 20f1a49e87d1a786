// The rules of crds/batchpredictions.yaml as examples: for each an object that keeps it and one that breaks it. Local
// validation is tested with them beside this file; a test against an API server can apply the same ones.

/** A BatchPrediction that may be wrong, so its fields may be anything. */
export interface LooseBatchPrediction {
  apiVersion?: unknown;
  kind?: unknown;
  metadata?: unknown;
  spec?: unknown;
  [field: string]: unknown;
}

export interface ValidationCase {
  /** What is shown, as a sentence about the object. */
  name: string;
  manifest: LooseBatchPrediction;
  /** `PATH: MESSAGE` of each problem, in order; none when the object is right. */
  problems: string[];
}

/** The smallest object that is right, with some fields of its spec replaced. */
function withSpec(spec: Record<string, unknown>): LooseBatchPrediction {
  return {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'BatchPrediction',
    metadata: { name: 'march' },
    spec: { model: 'credit-default', input: { uri: 'gs://applications/march.parquet' }, ...spec },
  };
}

function withName(name: unknown): LooseBatchPrediction {
  return { ...withSpec({}), metadata: { name } };
}

function withInput(input: Record<string, unknown>): LooseBatchPrediction {
  return withSpec({ input: { uri: 'gs://applications/march.parquet', ...input } });
}

function right(name: string, manifest: LooseBatchPrediction): ValidationCase {
  return { name, manifest, problems: [] };
}

function wrong(name: string, manifest: LooseBatchPrediction, ...problems: string[]): ValidationCase {
  return { name, manifest, problems };
}

const nameRule =
  "must be a DNS subdomain: at most 253 lower-case letters, digits, '-' and '.', that starts and ends with a letter or digit";
const uriRule = 'must be gs://BUCKET/PATH, or bq://PROJECT.DATASET.TABLE';
const modelPattern = '^[a-z]([-a-z0-9]*[a-z0-9])?$';

export const validationCases: ValidationCase[] = [
  right('the smallest object is right', withSpec({})),

  // metadata
  right('a name starts with a digit and has dots', withName('2026.03.01-nightly')),
  right('a name has 253 characters', withName('a'.repeat(253))),
  wrong('a name has 254 characters', withName('a'.repeat(254)), `metadata.name: ${nameRule}`),
  wrong('a name has capitals', withName('March'), `metadata.name: ${nameRule}`),
  wrong('a name ends with a dash', withName('march-'), `metadata.name: ${nameRule}`),
  wrong('a name has two dots in a row', withName('march..1'), `metadata.name: ${nameRule}`),
  wrong('there is no name', { ...withSpec({}), metadata: {} }, 'metadata.name: is required'),

  // fields that are unknown or missing
  wrong('there is no spec', { ...withSpec({}), spec: undefined }, 'spec: is required'),
  wrong('a spec is empty', { ...withSpec({}), spec: {} }, 'spec.input: is required', 'spec.model: is required'),
  wrong(
    'a field is misspelt',
    withSpec({ model: undefined, modle: 'credit-default' }),
    'spec.model: is required',
    'spec.modle: unknown field (did you mean "model"?)',
  ),
  wrong('a field is like no other', withInput({ colour: 'red' }), 'spec.input.colour: unknown field'),
  right('a field that may be absent is null', withSpec({ ttlSecondsAfterFinished: null })),

  // spec.model
  right('a model has 63 characters', withSpec({ model: 'm'.repeat(63) })),
  wrong(
    'a model has 64 characters',
    withSpec({ model: 'm'.repeat(64) }),
    'spec.model: must have at most 63 characters',
  ),
  wrong(
    'a model has a namespace',
    withSpec({ model: 'risk/credit-default' }),
    `spec.model: must match ${modelPattern}, not "risk/credit-default"`,
  ),
  wrong('a model is a number', withSpec({ model: 7 }), 'spec.model: must be a string, not the number 7'),

  // spec.input
  wrong('an input is a text', withSpec({ input: 'gs://b' }), 'spec.input: must be a mapping, not the string "gs://b"'),
  wrong('an input has no address', withInput({ uri: undefined }), 'spec.input.uri: is required'),
  wrong('an input is a local file', withInput({ uri: 'file:///march.json' }), `spec.input.uri: ${uriRule}`),
  wrong('an input is a bucket', withInput({ uri: 'gs://applications/' }), `spec.input.uri: ${uriRule}`),
  wrong('a bucket has two letters', withInput({ uri: 'gs://ab/march.json' }), `spec.input.uri: ${uriRule}`),
  wrong(
    'an address has 1025 characters',
    withInput({ uri: `gs://applications/${'a'.repeat(1007)}` }),
    'spec.input.uri: must have at most 1024 characters',
  ),
  ...['bq://risk-project.applications.march', 'bq://applications.march-1'].map((uri) =>
    right(`an input is the table ${uri}`, withInput({ uri })),
  ),
  ...['bq://march', 'bq://a.b.c.d', 'bq://Risk.applications.march', 'bq://applications.march/1'].map((uri) =>
    wrong(`an input is no table: ${uri}`, withInput({ uri }), `spec.input.uri: ${uriRule}`),
  ),
  ...['json', 'ndjson', 'csv', 'parquet'].map((format) => right(`a format is ${format}`, withInput({ format }))),
  wrong(
    'a format is unknown',
    withInput({ format: 'JSON' }),
    'spec.input.format: must be one of json, ndjson, csv, parquet, not "JSON"',
  ),

  // spec.action
  ...['Predict', 'LoadFeatures'].map((action) => right(`an action is ${action}`, withSpec({ action }))),
  wrong(
    'an action is unknown',
    withSpec({ action: 'Train' }),
    'spec.action: must be one of Predict, LoadFeatures, not "Train"',
  ),

  // spec.ttlSecondsAfterFinished
  right('a finished run goes at once', withSpec({ ttlSecondsAfterFinished: 0 })),
  wrong(
    'a time to live is negative',
    withSpec({ ttlSecondsAfterFinished: -1 }),
    'spec.ttlSecondsAfterFinished: must be >= 0, not -1',
  ),
  wrong(
    'a time to live is above a year',
    withSpec({ ttlSecondsAfterFinished: 31_536_001 }),
    'spec.ttlSecondsAfterFinished: must be <= 31536000, not 31536001',
  ),
  wrong(
    'a time to live is a duration',
    withSpec({ ttlSecondsAfterFinished: '1h' }),
    'spec.ttlSecondsAfterFinished: must be an integer, not the string "1h"',
  ),
];
