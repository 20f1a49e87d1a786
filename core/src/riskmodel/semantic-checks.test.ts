import { describe, expect, test } from '@jest/globals';
import { parseManifests } from './manifest.ts';

function problemsOf(spec: Record<string, unknown>): unknown {
  const manifest = {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name: 'm' },
    spec: {
      artifact: { uri: 'model.onnx', format: 'ONNX' },
      features: [{ name: 'A', type: 'Number' }],
      ...spec,
    },
  };
  try {
    parseManifests(JSON.stringify(manifest), 'm.json');
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function schedule(timeZone: string): Record<string, unknown> {
  return { batch: { schedules: [{ name: 's', cron: '0 3 * * *', input: 'gs://bucket/x.csv', timeZone }] } };
}

function withCron(cron: string): Record<string, unknown> {
  return { batch: { schedules: [{ name: 's', cron, input: 'gs://bucket/x.csv' }] } };
}

describe('features', () => {
  test('must differ in more than case, since BigQuery takes columns so', () => {
    const features = ['AGE', 'SEX', 'age'].map((name) => ({ name, type: 'Integer' }));
    expect(problemsOf({ features })).toBe(
      'm.json: spec.features[2].name: must differ in more than case from "AGE" (spec.features[0]): BigQuery takes both for one column',
    );
  });
});

describe('cron expressions', () => {
  test.each(['0 3 * * *', '*/15 8-18 * * MON-FRI', '0 0 L * *', '0 0 29 2 *', '0 3 * * THU'])('%s is one', (cron) => {
    expect(problemsOf(withCron(cron))).toBeUndefined();
  });

  test.each([
    ['61 3 * * *', 'Constraint error, got value 61 expected range 0-59'],
    ['a b c d e', 'Invalid characters, got value: a'],
    ['0 0 31 2 *', 'Invalid explicit day of month definition'],
    ['H 3 * * *', 'H is not supported'],
  ])('%s is not', (cron, why) => {
    expect(problemsOf(withCron(cron))).toBe(
      `m.json: spec.batch.schedules[0].cron: can't be read as a cron expression: "${cron}": ${why}`,
    );
  });
});

describe('time zones', () => {
  test.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires'])('%s is known', (timeZone) => {
    expect(problemsOf(schedule(timeZone))).toBeUndefined();
  });

  test.each(['Mars/Olympus', '+01:00', 'Berlin'])('%s is not', (timeZone) => {
    expect(problemsOf(schedule(timeZone))).toBe(
      `m.json: spec.batch.schedules[0].timeZone: must be an IANA time zone such as Europe/Berlin, not "${timeZone}"`,
    );
  });
});

describe('URIs of buckets', () => {
  const input = 'gs://bucket/../x.csv';
  test.each<[path: string, spec: Record<string, unknown>]>([
    ['spec.artifact.uri', { artifact: { uri: 'gs://models/a/../m.onnx', format: 'ONNX' } }],
    ['spec.batch.output.uri', { batch: { output: { uri: 'gs://staging/..' } } }],
    ['spec.batch.schedules[0].input', { batch: { schedules: [{ name: 's', cron: '0 3 * * *', input }] } }],
  ])('%s must stay in its bucket', (path, spec) => {
    expect(problemsOf(spec)).toBe(
      `m.json: ${path}: must not have "." or ".." as a part of its path: it would lead out of the bucket`,
    );
  });

  test('must have a name that a bucket can have', () => {
    expect(problemsOf({ artifact: { uri: 'gs://goog-models/m.onnx', format: 'ONNX' } })).toBe(
      'm.json: spec.artifact.uri: must not have a bucket\'s name that begins with "goog": "goog-models"',
    );
  });
});
