// The rules of crds/riskmodels.yaml as examples: for each a manifest that keeps it and one that breaks it. Local
// validation is tested with them beside this file; a test against an API server can apply the same ones.

/** A manifest that may be wrong, so its fields may be anything. */
export interface LooseManifest {
  apiVersion?: unknown;
  kind?: unknown;
  metadata?: unknown;
  spec: Record<string, unknown>;
  [field: string]: unknown;
}

export interface ValidationCase {
  /** What is shown, as a sentence about the manifest. */
  name: string;
  manifest: LooseManifest;
  /** `PATH: MESSAGE` of each problem, in order; none when the manifest is right. */
  problems: string[];
}

/** The smallest manifest that is right, with some fields of its spec replaced. */
function withSpec(spec: Record<string, unknown>): LooseManifest {
  return {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name: 'credit-default' },
    spec: {
      artifact: { uri: 'gs://risk-models/credit-default/v1/model.onnx', format: 'ONNX' },
      features: [{ name: 'LIMIT_BAL', type: 'Integer', minimum: 0 }],
      ...spec,
    },
  };
}

function withName(name: unknown): LooseManifest {
  return { ...withSpec({}), metadata: { name } };
}

function withArtifact(artifact: Record<string, unknown>): LooseManifest {
  return withSpec({ artifact: { uri: 'model.onnx', format: 'ONNX', ...artifact } });
}

function withFeatures(...features: unknown[]): LooseManifest {
  return withSpec({ features });
}

function withFeature(feature: Record<string, unknown>): LooseManifest {
  return withFeatures({ name: 'A', type: 'Number', ...feature });
}

function withSchedule(schedule: Record<string, unknown>): LooseManifest {
  return withSpec({
    batch: { schedules: [{ name: 'nightly', cron: '0 3 * * *', input: 'gs://risk-input/today.json', ...schedule }] },
  });
}

function right(name: string, manifest: LooseManifest): ValidationCase {
  return { name, manifest, problems: [] };
}

function wrong(name: string, manifest: LooseManifest, ...problems: string[]): ValidationCase {
  return { name, manifest, problems };
}

const sha256 = '9f2c'.repeat(16);
const nameRule =
  "must be a DNS label: at most 63 lower-case letters, digits and '-', that starts with a letter and does not end with '-'";
const uriRule = 'must be gs://BUCKET/PATH, file:///PATH or a path beside the manifest';
const ttlRule = 'must be a duration above 0s and up to 24h, such as 30s or 5m';
const wholeRule = 'must be a whole number of at most 2^53 - 1 when type is Integer';
const columnPattern = '^[A-Za-z_][A-Za-z0-9_]{0,299}$';
const reservedPrefixRule =
  'must not start with a prefix that BigQuery keeps for itself: _TABLE_, _FILE_, _PARTITION, _ROW_TIMESTAMP, __ROOT__, _COLIDENTIFIER';

export const validationCases: ValidationCase[] = [
  right('the smallest manifest is right', withSpec({})),

  // metadata
  right('a name has 63 characters', withName(`a${'b'.repeat(62)}`)),
  wrong('a name has 64 characters', withName('a'.repeat(64)), `metadata.name: ${nameRule}`),
  wrong('a name has capitals', withName('Credit'), `metadata.name: ${nameRule}`),
  wrong('a name starts with a digit', withName('1st'), `metadata.name: ${nameRule}`),
  wrong('a name ends with a dash', withName('credit-'), `metadata.name: ${nameRule}`),
  wrong('a name has a dot', withName('credit.default'), `metadata.name: ${nameRule}`),
  wrong('a name is a number', withName(7), 'metadata.name: must be a string, not the number 7'),
  wrong('there is no name', { ...withSpec({}), metadata: {} }, 'metadata.name: is required'),
  wrong('there is no metadata', { ...withSpec({}), metadata: undefined }, 'metadata: is required'),
  right('labels are strings', { ...withSpec({}), metadata: { name: 'm', labels: { 'a.io/b': 'c' } } }),
  wrong(
    'a label is a number',
    { ...withSpec({}), metadata: { name: 'm', labels: { 'a.io/b': 1 } } },
    'metadata.labels["a.io/b"]: must be a string, not the number 1',
  ),

  // fields that are unknown or missing
  wrong(
    'a field is misspelt',
    withSpec({ features: undefined, featurs: [] }),
    'spec.features: is required',
    'spec.featurs: unknown field (did you mean "features"?)',
  ),
  wrong(
    'a field of a feature is misspelt',
    withFeature({ mininum: 1 }),
    'spec.features[0].mininum: unknown field (did you mean "minimum"?)',
  ),
  wrong('a field is like no other', withSpec({ colour: 'red' }), 'spec.colour: unknown field'),
  wrong('a field stands beside spec', { ...withSpec({}), data: {} }, 'data: unknown field'),
  right('a field that may be absent is null', withSpec({ identifier: null, decision: null, online: null })),
  wrong(
    'fields that are needed are null',
    withSpec({ artifact: null, features: null }),
    'spec.artifact: is required',
    'spec.features: is required',
  ),

  // spec.artifact
  right('an artifact lies in a bucket', withArtifact({ uri: 'gs://risk-models/credit/v1/model.onnx' })),
  right('an artifact is a file by absolute URI', withArtifact({ uri: 'file:///srv/models/model.onnx' })),
  right('an artifact lies beside the manifest', withArtifact({ uri: '../models/model v1.onnx' })),
  wrong('an artifact has another scheme', withArtifact({ uri: 's3://bucket/model' }), `spec.artifact.uri: ${uriRule}`),
  wrong('an artifact has a bucket only', withArtifact({ uri: 'gs://bucket' }), `spec.artifact.uri: ${uriRule}`),
  wrong('an artifact has no path', withArtifact({ uri: 'gs://bucket/' }), `spec.artifact.uri: ${uriRule}`),
  wrong('a bucket has capitals', withArtifact({ uri: 'gs://Bucket/model' }), `spec.artifact.uri: ${uriRule}`),
  wrong('a file URI has a host', withArtifact({ uri: 'file://host/model' }), `spec.artifact.uri: ${uriRule}`),
  wrong('an artifact is empty', withArtifact({ uri: '' }), 'spec.artifact.uri: must not be empty'),
  wrong(
    'an artifact has 1025 characters',
    withArtifact({ uri: 'a'.repeat(1025) }),
    'spec.artifact.uri: must have at most 1024 characters',
  ),
  wrong(
    'an artifact lacks its fields',
    withSpec({ artifact: {} }),
    'spec.artifact.format: is required',
    'spec.artifact.uri: is required',
  ),
  right('a format is XGBoost', withArtifact({ format: 'XGBoost' })),
  right('a format is LightGBM', withArtifact({ format: 'LightGBM' })),
  wrong(
    'a format is unknown',
    withArtifact({ format: 'onnx' }),
    'spec.artifact.format: must be one of ONNX, XGBoost, LightGBM, not "onnx"',
  ),
  right('a checksum is given', withArtifact({ sha256 })),
  wrong(
    'a checksum has capitals',
    withArtifact({ sha256: sha256.toUpperCase() }),
    `spec.artifact.sha256: must match ^[0-9a-f]{64}$, not "${sha256.toUpperCase().slice(0, 59)}...`,
  ),
  wrong(
    'a checksum is short',
    withArtifact({ sha256: '9f2c' }),
    'spec.artifact.sha256: must match ^[0-9a-f]{64}$, not "9f2c"',
  ),
  right('a version is free text', withArtifact({ version: '2026 Q3 (recalibrated)' })),
  wrong('a version is empty', withArtifact({ version: '' }), 'spec.artifact.version: must not be empty'),
  wrong(
    'a version has 64 characters',
    withArtifact({ version: 'v'.repeat(64) }),
    'spec.artifact.version: must have at most 63 characters',
  ),
  wrong(
    'a version is a number',
    withArtifact({ version: 1 }),
    'spec.artifact.version: must be a string, not the number 1',
  ),

  // spec.features: the list
  wrong('there are no features', withFeatures(), 'spec.features: must not be empty'),
  right('there are 2000 features', withFeatures(...manyFeatures(2000))),
  wrong(
    'there are 2001 features',
    withFeatures(...manyFeatures(2001)),
    'spec.features: must have at most 2000 items, not 2001',
  ),
  wrong('features are a mapping', withSpec({ features: {} }), 'spec.features: must be a list, not a mapping'),
  wrong('a feature is null', withFeatures(null), 'spec.features[0]: must be a mapping, not null'),
  wrong(
    'a feature appears twice',
    withFeatures({ name: 'AGE', type: 'Integer' }, { name: 'B', type: 'Number' }, { name: 'AGE', type: 'Number' }),
    'spec.features[2].name: duplicate "AGE" (first at spec.features[0])',
  ),
  wrong(
    'a feature lacks its fields',
    withFeatures({}),
    'spec.features[0].name: is required',
    'spec.features[0].type: is required',
  ),

  // spec.features: names
  right('a name has 300 characters', withFeature({ name: 'a'.repeat(300) })),
  wrong(
    'a name has 301 characters',
    withFeature({ name: 'a'.repeat(301) }),
    'spec.features[0].name: must have at most 300 characters',
    `spec.features[0].name: must match ${columnPattern}, not "${'a'.repeat(59)}...`,
  ),
  wrong(
    'a name starts with a digit',
    withFeature({ name: '2nd' }),
    `spec.features[0].name: must match ${columnPattern}, not "2nd"`,
  ),
  wrong(
    'a name has a dash',
    withFeature({ name: 'PAY-0' }),
    `spec.features[0].name: must match ${columnPattern}, not "PAY-0"`,
  ),
  ...[
    'prob_0',
    'prob_1',
    'pred_datetime',
    'decision',
    'record_index',
    'batch_id',
    'model',
    'model_version',
    'model_sha256',
    'Decision',
  ].map((name) =>
    wrong(
      `a feature is called ${name}`,
      withFeature({ name }),
      `spec.features[0].name: must not be "${name}": result tables have a column of that name`,
    ),
  ),
  right('a name only starts like a result column', withFeature({ name: 'model_age' })),
  wrong(
    'a name starts as BigQuery forbids',
    withFeature({ name: '_PARTITIONTIME' }),
    `spec.features[0].name: ${reservedPrefixRule}`,
  ),

  // spec.features: types and limits
  wrong(
    'a type is unknown',
    withFeature({ type: 'Float', minimum: 1 }),
    'spec.features[0].type: must be one of Integer, Number, Boolean, Categorical, not "Float"',
  ),
  right('minimum is below maximum', withFeature({ minimum: -2, maximum: 9 })),
  right('minimum is maximum', withFeature({ minimum: 9, maximum: 9 })),
  wrong(
    'minimum is above maximum',
    withFeature({ minimum: 10, maximum: 9 }),
    'spec.features[0].minimum: must be <= maximum (9)',
  ),
  wrong(
    'minimum is above a fractional maximum',
    withFeature({ minimum: 1, maximum: 0.25 }),
    'spec.features[0].minimum: must be <= maximum (0.25)',
  ),
  wrong(
    'minimum is above a large maximum',
    withFeature({ minimum: 2e6, maximum: 1e6 }),
    'spec.features[0].minimum: must be <= maximum (1000000)',
  ),
  wrong(
    'minimum is a string',
    withFeature({ minimum: '5' }),
    'spec.features[0].minimum: must be a number, not the string "5"',
  ),
  wrong(
    'a Boolean has limits',
    withFeature({ type: 'Boolean', minimum: 0, maximum: 1 }),
    'spec.features[0].maximum: must be left out when type is Boolean',
    'spec.features[0].minimum: must be left out when type is Boolean',
  ),
  wrong(
    'a Categorical has limits',
    withFeature({ type: 'Categorical', codes: [1], minimum: 0, maximum: 1 }),
    'spec.features[0].maximum: must be left out when type is Categorical',
    'spec.features[0].minimum: must be left out when type is Categorical',
  ),
  right('an Integer has whole limits', withFeature({ type: 'Integer', minimum: -2, maximum: 9.0 })),
  wrong(
    'an Integer has fractional limits',
    withFeature({ type: 'Integer', minimum: 0.5, maximum: 1.5 }),
    `spec.features[0].maximum: ${wholeRule}`,
    `spec.features[0].minimum: ${wholeRule}`,
  ),
  wrong(
    'an Integer has a limit beyond 2^53',
    withFeature({ type: 'Integer', maximum: 1e30 }),
    `spec.features[0].maximum: ${wholeRule}`,
  ),
  right('a Number has limits beyond 64 bits', withFeature({ minimum: -1e30, maximum: 1e30 })),
  wrong(
    'minimum is above a maximum beyond 64 bits',
    withFeature({ minimum: 1e31, maximum: 1e30 }),
    'spec.features[0].minimum: must be <= maximum (1e+30)',
  ),
  right('a Number has fractional limits', withFeature({ minimum: 0.5, maximum: 1.5 })),

  // spec.features: codes
  right('a Categorical has codes', withFeature({ type: 'Categorical', codes: [0, 1, -7] })),
  wrong(
    'a Categorical has no codes',
    withFeature({ type: 'Categorical' }),
    'spec.features[0].codes: is required when type is Categorical: list the permitted codes',
  ),
  wrong(
    'an Integer has codes',
    withFeature({ type: 'Integer', codes: [1] }),
    'spec.features[0].codes: must be left out when type is Integer',
  ),
  wrong(
    'codes are empty',
    withFeature({ type: 'Categorical', codes: [] }),
    'spec.features[0].codes: must not be empty',
  ),
  wrong(
    'a code appears twice',
    withFeature({ type: 'Categorical', codes: [1, 2, 1] }),
    'spec.features[0].codes[2]: duplicate 1 (first at spec.features[0].codes[0])',
  ),
  wrong(
    'a code is fractional',
    withFeature({ type: 'Categorical', codes: [1.5] }),
    'spec.features[0].codes[0]: must be an integer, not the number 1.5',
  ),
  wrong(
    'a code is beyond 2^53',
    withFeature({ type: 'Categorical', codes: [2 ** 53] }),
    'spec.features[0].codes[0]: must be <= 9007199254740991, not 9007199254740992',
  ),
  wrong(
    'there are 1001 codes',
    withFeature({ type: 'Categorical', codes: Array.from({ length: 1001 }, (_, code) => code) }),
    'spec.features[0].codes: must have at most 1000 items, not 1001',
  ),

  // spec.features: missing values
  right('missing values become NaN', withFeature({ whenMissing: 'NaN' })),
  wrong(
    'whenMissing is unknown',
    withFeature({ whenMissing: 'Ignore' }),
    'spec.features[0].whenMissing: must be one of Reject, Default, NaN, not "Ignore"',
  ),
  right('missing values take a default', withFeature({ whenMissing: 'Default', default: 0 })),
  wrong(
    'a default is missing',
    withFeature({ whenMissing: 'Default' }),
    'spec.features[0].default: is required when whenMissing is Default',
  ),
  wrong(
    'a default is never used',
    withFeature({ default: 0 }),
    'spec.features[0].default: must be left out when whenMissing is Reject',
  ),
  right('a default is at the limit', withFeature({ whenMissing: 'Default', default: 9, minimum: 9, maximum: 9 })),
  wrong(
    'a default is below minimum',
    withFeature({ whenMissing: 'Default', default: -1, minimum: 0 }),
    'spec.features[0].default: must be >= minimum (0)',
  ),
  wrong(
    'a default is above maximum',
    withFeature({ whenMissing: 'Default', default: 10, maximum: 9 }),
    'spec.features[0].default: must be <= maximum (9)',
  ),
  wrong(
    'a default is beyond float32',
    withFeature({ whenMissing: 'Default', default: 1e39 }),
    'spec.features[0].default: must be within what a 32-bit float holds',
  ),
  right('an Integer has a whole default', withFeature({ type: 'Integer', whenMissing: 'Default', default: -1 })),
  wrong(
    'an Integer has a fractional default',
    withFeature({ type: 'Integer', whenMissing: 'Default', default: 0.5 }),
    `spec.features[0].default: ${wholeRule}`,
  ),
  right('a Boolean has the default 1', withFeature({ type: 'Boolean', whenMissing: 'Default', default: 1 })),
  wrong(
    'a Boolean has the default 2',
    withFeature({ type: 'Boolean', whenMissing: 'Default', default: 2 }),
    'spec.features[0].default: must be 0 or 1 when type is Boolean',
  ),
  wrong(
    'a Boolean has the default true',
    withFeature({ type: 'Boolean', whenMissing: 'Default', default: true }),
    'spec.features[0].default: must be a number, not the boolean true',
  ),
  right(
    'a default is one of codes',
    withFeature({ type: 'Categorical', codes: [1, 2], whenMissing: 'Default', default: 2 }),
  ),
  wrong(
    'a default is none of codes',
    withFeature({ type: 'Categorical', codes: [1, 2], whenMissing: 'Default', default: 1.5 }),
    'spec.features[0].default: must be one of codes',
  ),
  right('a feature is described', withFeature({ description: 'Limit of the account' })),
  wrong(
    'a description has 1025 characters',
    withFeature({ description: 'd'.repeat(1025) }),
    'spec.features[0].description: must have at most 1024 characters',
  ),

  // spec.identifier, spec.target
  right('identifier and target are columns of their own', withSpec({ identifier: 'customer_id', target: 'target' })),
  wrong(
    'identifier is a feature',
    withSpec({ identifier: 'LIMIT_BAL' }),
    'spec.identifier: must not be the name of a feature',
  ),
  wrong(
    'target is a feature in other letters',
    withSpec({ target: 'limit_bal' }),
    'spec.target: must not be the name of a feature',
  ),
  wrong(
    'identifier is target',
    withSpec({ identifier: 'id', target: 'ID' }),
    'spec.target: must not be the same column as identifier',
  ),
  wrong(
    'identifier is a result column',
    withSpec({ identifier: 'batch_id' }),
    'spec.identifier: must not be "batch_id": result tables have a column of that name',
  ),
  wrong(
    'target is a result column',
    withSpec({ target: 'decision' }),
    'spec.target: must not be "decision": result tables have a column of that name',
  ),
  wrong(
    'identifier is no column name',
    withSpec({ identifier: 'customer id' }),
    `spec.identifier: must match ${columnPattern}, not "customer id"`,
  ),
  wrong('target starts as BigQuery forbids', withSpec({ target: '__root__x' }), `spec.target: ${reservedPrefixRule}`),

  // spec.decision
  right('a threshold is 0', withSpec({ decision: { threshold: 0 } })),
  right('a threshold is 1', withSpec({ decision: { threshold: 1 } })),
  wrong(
    'a threshold is below 0',
    withSpec({ decision: { threshold: -0.1 } }),
    'spec.decision.threshold: must be >= 0, not -0.1',
  ),
  wrong(
    'a threshold is above 1',
    withSpec({ decision: { threshold: 25 } }),
    'spec.decision.threshold: must be <= 1, not 25',
  ),

  // spec.online
  right('replicas are from 0 to 1', withSpec({ online: { replicas: { min: 0, max: 1 } } })),
  wrong(
    'replicas have min above max',
    withSpec({ online: { replicas: { min: 3, max: 2 } } }),
    'spec.online.replicas.min: must be <= max (2)',
  ),
  wrong(
    'replicas have a max below the default of min',
    withSpec({ online: { replicas: { max: 1 } } }),
    'spec.online.replicas.min: must be <= max (1)',
  ),
  wrong(
    'replicas are out of bounds',
    withSpec({ online: { replicas: { min: -1, max: 1001 } } }),
    'spec.online.replicas.max: must be <= 1000, not 1001',
    'spec.online.replicas.min: must be >= 0, not -1',
  ),
  wrong(
    'replicas have max 0',
    withSpec({ online: { replicas: { min: 0, max: 0 } } }),
    'spec.online.replicas.max: must be >= 1, not 0',
  ),
  wrong(
    'replicas are a number',
    withSpec({ online: { replicas: 2 } }),
    'spec.online.replicas: must be a mapping, not the number 2',
  ),
  right(
    'resources are quantities',
    withSpec({ online: { resources: { requests: { cpu: '500m', memory: '512Mi' }, limits: { cpu: 1 } } } }),
  ),
  wrong(
    'a resource is no quantity',
    withSpec({ online: { resources: { limits: { cpu: true } } } }),
    'spec.online.resources.limits.cpu: must be an integer or a string, not the boolean true',
  ),
  wrong(
    'a resource has an unknown unit',
    withSpec({ batch: { resources: { limits: { memory: '512MiB' } } } }),
    'spec.batch.resources.limits.memory: must be a quantity such as 500m or 512Mi, not "512MiB"',
  ),
  right('answers are kept for 30s', withSpec({ online: { cache: { ttl: '30s' } } })),
  right('answers are kept for 24h', withSpec({ online: { cache: { ttl: '23h59m60s' } } })),
  ...['0s', '30', '-1s', '1d', '24h1ms', '999999h999999h999999h', '1.5s'].map((ttl) =>
    wrong(`answers are kept for ${ttl}`, withSpec({ online: { cache: { ttl } } }), `spec.online.cache.ttl: ${ttlRule}`),
  ),
  right('features come from Redis', withSpec({ identifier: 'id', online: { features: { redis: {} } } })),
  right(
    'features come from hashes of another program',
    withSpec({ identifier: 'id', online: { features: { redis: { keyPrefix: 'applicants:' } } } }),
  ),
  wrong(
    'features come from nowhere',
    withSpec({ identifier: 'id', online: { features: {} } }),
    'spec.online.features.redis: is required',
  ),
  wrong(
    'features come from Redis, but records have no identifier',
    withSpec({ online: { features: { redis: {} } } }),
    'spec.identifier: is required with online.features, which are found by it',
  ),
  wrong('a cache has no ttl', withSpec({ online: { cache: {} } }), 'spec.online.cache.ttl: is required'),

  // spec.batch
  right('workers are from 0 to 1', withSpec({ batch: { workers: { min: 0, max: 1 } } })),
  wrong(
    'workers have min above max',
    withSpec({ batch: { workers: { min: 21 } } }),
    'spec.batch.workers.min: must be <= max (20)',
  ),
  right('a dataset is named', withSpec({ batch: { output: { dataset: 'risk_2026' } } })),
  wrong(
    'a dataset has a dash',
    withSpec({ batch: { output: { dataset: 'risk-model' } } }),
    'spec.batch.output.dataset: must match ^[A-Za-z0-9_]+$, not "risk-model"',
  ),
  right('results are files in a bucket', withSpec({ batch: { output: { uri: 'gs://risk-results' } } })),
  right(
    'results are files in a folder, and in no table',
    withSpec({ batch: { output: { uri: 'gs://risk-results/credit/', tables: false, format: 'CSV' } } }),
  ),
  wrong(
    'results are files elsewhere',
    withSpec({ batch: { output: { uri: '/tmp' } } }),
    'spec.batch.output.uri: must be gs://BUCKET or gs://BUCKET/FOLDER',
  ),
  wrong(
    'results go nowhere',
    withSpec({ batch: { output: { tables: false } } }),
    'spec.batch.output.tables: must be true when uri is left out, or results would go nowhere',
  ),
  right('BigQuery scores', withSpec({ batch: { engine: 'BigQueryML' } })),
  right('predictions are kept for 366 days', withSpec({ identifier: 'id', batch: { lookup: { ttl: '8784h' } } })),
  ...['0s', '999ms', '30d', '8784h1s'].map((ttl) =>
    wrong(
      `predictions are kept for ${ttl}`,
      withSpec({ identifier: 'id', batch: { lookup: { ttl } } }),
      'spec.batch.lookup.ttl: must be a duration from 1s to 8784h (366 days), such as 36h or 720h',
    ),
  ),
  wrong(
    'predictions are kept, but records have no identifier',
    withSpec({ batch: { lookup: { ttl: '36h' } } }),
    'spec.identifier: is required with batch.lookup, whose predictions are kept under it',
  ),
  right('no row may be rejected', withSpec({ batch: { maxRejectedRatio: 0 } })),
  wrong(
    'more rows than all may be rejected',
    withSpec({ batch: { maxRejectedRatio: 1.5 } }),
    'spec.batch.maxRejectedRatio: must be <= 1, not 1.5',
  ),
  right('a chunk has 1000 rows', withSpec({ batch: { chunkRows: 1000 } })),
  wrong(
    'a chunk has 999 rows',
    withSpec({ batch: { chunkRows: 999 } }),
    'spec.batch.chunkRows: must be >= 1000, not 999',
  ),
  wrong(
    'a chunk has 1000001 rows',
    withSpec({ batch: { chunkRows: 1_000_001 } }),
    'spec.batch.chunkRows: must be <= 1000000, not 1000001',
  ),
  right('a batch starts by the clock', withSchedule({ timeZone: 'Europe/Berlin' })),
  wrong(
    'two schedules have one name',
    withSpec({
      batch: {
        schedules: ['0 3 * * *', '0 4 * * *'].map((cron) => ({ name: 'nightly', cron, input: 'gs://in-put/x.json' })),
      },
    }),
    'spec.batch.schedules[1].name: duplicate "nightly" (first at spec.batch.schedules[0])',
  ),
  wrong(
    'a schedule has six fields',
    withSchedule({ cron: '0 0 3 * * *' }),
    'spec.batch.schedules[0].cron: must be five fields: minute, hour, day of month, month, day of week',
  ),
  wrong(
    'a schedule has no bucket',
    withSchedule({ input: 'today.json' }),
    'spec.batch.schedules[0].input: must be gs://BUCKET/PATH',
  ),
  wrong(
    'a schedule has capitals in its name',
    withSchedule({ name: 'Nightly' }),
    'spec.batch.schedules[0].name: must match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$, not "Nightly"',
  ),
  wrong(
    'a schedule lacks its fields',
    withSpec({ batch: { schedules: [{}] } }),
    'spec.batch.schedules[0].cron: is required',
    'spec.batch.schedules[0].input: is required',
    'spec.batch.schedules[0].name: is required',
  ),
  right('a file starts a batch', withSpec({ batch: { triggers: [{ bucket: 'risk-input', suffix: '.parquet' }] } })),
  wrong(
    'a trigger says nothing',
    withSpec({ batch: { triggers: [{}] } }),
    'spec.batch.triggers[0]: must have one or more of bucket, prefix, suffix',
  ),
  wrong(
    'a trigger has no bucket name',
    withSpec({ batch: { triggers: [{ bucket: 'gs://b' }] } }),
    'spec.batch.triggers[0].bucket: must match ^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$, not "gs://b"',
  ),

  // spec.revisionHistoryLimit
  right('no old revision is kept', withSpec({ revisionHistoryLimit: 0 })),
  wrong(
    'a negative number of revisions is kept',
    withSpec({ revisionHistoryLimit: -1 }),
    'spec.revisionHistoryLimit: must be >= 0, not -1',
  ),
  wrong(
    'half a revision is kept',
    withSpec({ revisionHistoryLimit: 1.5 }),
    'spec.revisionHistoryLimit: must be an integer, not the number 1.5',
  ),
];

function manyFeatures(count: number): unknown[] {
  return Array.from({ length: count }, (_, index) => ({ name: `F${index}`, type: 'Number' }));
}
