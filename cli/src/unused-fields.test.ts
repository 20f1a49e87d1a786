import { describe, expect, test } from '@jest/globals';
import { parseManifests } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { unsupportedEngineLine, unusedFieldsLine } from './unused-fields.ts';

function model(spec: object, name = 'loans'): RiskModel {
  const manifest = {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name },
    spec: {
      artifact: { uri: 'model.onnx', format: 'ONNX' },
      features: [{ name: 'income', type: 'Number' }],
      ...spec,
    },
  };
  return parseManifests(JSON.stringify(manifest), 'riskmodel.json')[0] as RiskModel;
}

describe('what a manifest asks for and one machine does not do', () => {
  const cases: [why: string, spec: object, fields: string | undefined][] = [
    ['a manifest that says nothing of it', {}, undefined],
    [
      'defaults that are written out',
      { online: { replicas: { min: 2, max: 10 } }, batch: { workers: { min: 0 }, schedules: [], triggers: [] } },
      undefined,
    ],
    [
      'fields that one machine does use',
      {
        online: { cache: { ttl: '30s' } },
        batch: { output: { dataset: 'risk', uri: 'gs://results' }, chunkRows: 1_000 },
      },
      undefined,
    ],
    ['one limit of two', { online: { replicas: { min: 3 } } }, 'online.replicas'],
    [
      'all of them',
      {
        online: { replicas: { min: 1, max: 2 }, resources: { requests: { cpu: '1' } } },
        batch: {
          workers: { max: 5 },
          resources: { limits: { memory: '1Gi' } },
          schedules: [{ name: 'nightly', cron: '0 3 * * *', input: 'gs://applications/today.csv' }],
          triggers: [{ bucket: 'applications' }],
        },
        revisionHistoryLimit: 5,
      },
      'online.replicas, online.resources, batch.workers, batch.resources, batch.triggers, revisionHistoryLimit',
    ],
  ];
  test.each(cases)('%s', (_why, spec, fields) => {
    expect(unusedFieldsLine([model(spec)])).toBe(fields && `not used on one machine: ${fields}`);
  });

  test('of several models it names those that ask', () => {
    const models = [
      model({ online: { replicas: { min: 3 } } }, 'retail'),
      model({}, 'small'),
      model({ revisionHistoryLimit: 1 }, 'large'),
    ];
    expect(unusedFieldsLine(models)).toBe(
      'not used on one machine: retail: online.replicas; large: revisionHistoryLimit',
    );
  });
});

test('models whose batches only BigQuery can score are named', () => {
  const models = [
    model({ batch: { engine: 'BigQueryML' } }, 'retail'),
    model({ batch: { engine: 'Worker' } }, 'small'),
    model({}, 'large'),
  ];
  expect(unsupportedEngineLine(models)).toMatch(/^batches of retail will fail on one machine \(UnsupportedEngine\)/);
  expect(unusedFieldsLine(models)).toBeUndefined();
  expect(unsupportedEngineLine(models.slice(1))).toBeUndefined();
});
