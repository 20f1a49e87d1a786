import { describe, expect, test } from '@jest/globals';
import { ManifestError, parseManifests, validateRiskModel } from './manifest.ts';
import { validationCases } from './validation-cases.ts';

const smallest = `apiVersion: riskmodel.io/v1alpha1
kind: RiskModel
metadata: {name: credit-default}
spec:
  artifact: {uri: model.onnx, format: ONNX}
  features:
    - {name: AGE, type: Integer}
`;

function messageOf(text: string): string {
  try {
    parseManifests(text, 'riskmodel.yaml');
  } catch (error) {
    if (error instanceof ManifestError) return error.message;
    throw error;
  }
  return '';
}

describe('validateRiskModel', () => {
  test.each(validationCases)('$name', ({ manifest, problems }) => {
    const found = validateRiskModel(manifest).problems;
    expect(found.map(({ path, message }) => `${path}: ${message}`)).toEqual(problems);
  });

  test('puts every default in place, and leaves what it was given as it was', () => {
    const manifest = {
      apiVersion: 'riskmodel.io/v1alpha1',
      kind: 'RiskModel',
      metadata: { name: 'm' },
      spec: { artifact: { uri: 'model.onnx', format: 'ONNX' }, features: [{ name: 'A', type: 'Number' }] },
    };
    const before = structuredClone(manifest);
    expect(validateRiskModel(manifest)).toEqual({
      problems: [],
      model: {
        ...manifest,
        spec: {
          artifact: { uri: 'model.onnx', format: 'ONNX' },
          features: [{ name: 'A', type: 'Number', whenMissing: 'Reject' }],
          decision: { threshold: 0.5 },
          online: { replicas: { min: 2, max: 10 } },
          batch: {
            workers: { min: 0, max: 20 },
            engine: 'Worker',
            output: { dataset: 'riskmodel', format: 'Parquet', tables: true },
            maxRejectedRatio: 0.01,
            chunkRows: 100_000,
            schedules: [],
            triggers: [],
          },
          revisionHistoryLimit: 3,
        },
      },
    });
    expect(manifest).toEqual(before);
  });

  test('accepts what the API server adds to an object', () => {
    const [model] = parseManifests(smallest, 'riskmodel.yaml');
    const stored = {
      ...model,
      metadata: {
        name: 'credit-default',
        namespace: 'risk',
        uid: 'ab0c',
        resourceVersion: '17',
        generation: 2,
        creationTimestamp: '2026-01-02T03:04:05Z',
        managedFields: [{ manager: 'kubectl', fieldsV1: { 'f:spec': {} } }],
      },
      status: {
        observedGeneration: 2,
        conditions: [
          {
            type: 'Ready',
            status: 'True',
            reason: 'Serving',
            message: '2 of 2 pods are ready',
            lastTransitionTime: '2026-01-02T03:04:05Z',
          },
        ],
        artifact: { resolvedUri: 'gs://b/m.onnx', generation: '1700000000000000' },
        lastBatch: { id: 'b1', state: 'done', rows: { total: 3, done: 2, failed: 1 } },
      },
    };
    expect(validateRiskModel(stored)).toEqual({ model: stored, problems: [] });
  });

  test.each([
    { name: 'null', object: null, problems: ['must be a mapping with apiVersion, kind, metadata and spec'] },
    { name: 'a list', object: [], problems: ['must be a mapping with apiVersion, kind, metadata and spec'] },
    {
      name: 'another kind',
      object: { apiVersion: 'apps/v1', kind: 'Deployment' },
      problems: [
        'apiVersion: must be riskmodel.io/v1alpha1, not "apps/v1"',
        'kind: must be RiskModel, not "Deployment"',
      ],
    },
    {
      name: 'another version',
      object: { apiVersion: 'riskmodel.io/v1', kind: 'RiskModel' },
      problems: ['apiVersion: must be riskmodel.io/v1alpha1, not "riskmodel.io/v1"'],
    },
    { name: 'no kind', object: { spec: {} }, problems: ['apiVersion: is required', 'kind: is required'] },
  ])('says of $name what it must be, and no more', ({ object, problems }) => {
    const found = validateRiskModel(object).problems;
    expect(found.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))).toEqual(problems);
  });
});

describe('parseManifests', () => {
  test('reads the models of all documents in order', () => {
    const second = smallest.replace('credit-default', 'fraud');
    const models = parseManifests(`---\n${smallest}---\n# nothing here\n---\n${second}`, 'riskmodel.yaml');
    expect(models.map(({ metadata }) => metadata.name)).toEqual(['credit-default', 'fraud']);
  });

  test('reads JSON', () => {
    const [model] = parseManifests(smallest, 'riskmodel.yaml');
    expect(parseManifests(JSON.stringify(model), 'riskmodel.json')).toEqual([model]);
  });

  test('prints one line for each problem', () => {
    const text = smallest.replace('type: Integer', 'type: Integer, minimum: 10, maximum: 9').replace('ONNX', 'PMML');
    expect(messageOf(text)).toBe(
      [
        'riskmodel.yaml: spec.artifact.format: must be one of ONNX, XGBoost, LightGBM, not "PMML"',
        'riskmodel.yaml: spec.features[0].minimum: must be <= maximum (9)',
      ].join('\n'),
    );
  });

  test('tells which document a problem is in', () => {
    const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: s}\n';
    expect(messageOf(`${smallest}---\n${service}`)).toBe(
      [
        'riskmodel.yaml (document 2): apiVersion: must be riskmodel.io/v1alpha1, not "v1"',
        'riskmodel.yaml (document 2): kind: must be RiskModel, not "Service"',
      ].join('\n'),
    );
  });

  test('refuses two models of one name', () => {
    expect(messageOf(`${smallest}---\n${smallest}`)).toBe(
      'riskmodel.yaml (document 2): metadata.name: duplicate "credit-default" (first in riskmodel.yaml (document 1))',
    );
  });

  test('accepts one name in two namespaces', () => {
    const other = smallest.replace('{name: credit-default}', '{name: credit-default, namespace: other}');
    expect(parseManifests(`${smallest}---\n${other}`, 'riskmodel.yaml')).toHaveLength(2);
  });

  test.each([
    { name: 'nothing', text: '', message: 'riskmodel.yaml: has no RiskModel in it' },
    { name: 'comments', text: '# soon\n---\n', message: 'riskmodel.yaml: has no RiskModel in it' },
    {
      name: 'a key given twice',
      text: smallest.replace('metadata:', 'kind: RiskModel\nmetadata:'),
      message: 'riskmodel.yaml:3:1: the key kind is given twice in one mapping',
    },
    {
      name: 'a tab as indentation',
      text: 'spec:\n\tartifact: 1\n',
      message: 'riskmodel.yaml:2:1: not YAML: Tabs are not allowed as indentation',
    },
    {
      name: 'an alias of nothing',
      text: 'spec: *absent\n',
      message: 'riskmodel.yaml: not YAML: Unresolved alias (the anchor must be set before the alias): absent',
    },
    {
      name: 'an unquoted version',
      text: smallest.replace('format: ONNX', 'format: ONNX, version: 1'),
      message: 'riskmodel.yaml: spec.artifact.version: must be a string, not the number 1',
    },
    {
      name: 'a name that YAML 1.1 takes for a boolean',
      text: smallest.replace('AGE', 'N'),
      message: 'riskmodel.yaml: spec.features[0].name: must be a string, not the boolean false',
    },
    {
      name: 'a limit that is not a number',
      text: smallest.replace('Integer}', 'Number, maximum: .nan}'),
      message: 'riskmodel.yaml: spec.features[0].maximum: must be a number, not the number NaN',
    },
  ])('says what is wrong with a file that has $name', ({ text, message }) => {
    expect(messageOf(text)).toBe(message);
  });

  test.each([
    { name: 'a date', written: '2026-01-02', version: '2026-01-02' },
    { name: 'a time', written: '12:30:45', version: '12:30:45' },
  ])('takes $name for a string, as kubectl does', ({ written, version }) => {
    const [model] = parseManifests(smallest.replace('format: ONNX', `format: ONNX, version: ${written}`), 'f.yaml');
    expect(model?.spec.artifact.version).toBe(version);
  });
});
