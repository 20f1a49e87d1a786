import { describe, expect, test } from '@jest/globals';
import type { WorkloadSettings } from '../settings.ts';
import { makeModel } from '../testing/make-model.ts';
import { desiredRevision, makeServerDeployment } from './make-server-deployment.ts';
import { makeWorkerDeployment } from './make-worker-deployment.ts';

const settings: WorkloadSettings = {
  image: 'registry.example/riskmodel:1',
  imagePullPolicy: 'IfNotPresent',
  redis: { url: 'redis://redis:6379' },
  redisPrefix: 'riskmodel',
  backend: { kind: 'volume', claimName: 'data' },
  drainSeconds: 10,
  serviceAccountAnnotations: {},
};
const withSecrets = { ...settings, imagePullSecrets: ['registry', 'mirror'] };
const model = makeModel();

function logLevelOf(deployment: object): string | undefined {
  return /"RISKMODEL_LOG_LEVEL","value":"(\w+)"/.exec(JSON.stringify(deployment))?.[1];
}

function pullSecretsOf(deployment: object): unknown {
  return (deployment as { spec: { template: { spec: Record<string, unknown> } } }).spec.template.spec[
    'imagePullSecrets'
  ];
}

test.each([
  ['serving pods', (given: WorkloadSettings) => makeServerDeployment(model, 'r', given)],
  ['workers', (given: WorkloadSettings) => makeWorkerDeployment(model, given)],
])('%s name the Secrets of the image’s registry', (_what, make) => {
  expect(pullSecretsOf(make(withSecrets))).toEqual([{ name: 'registry' }, { name: 'mirror' }]);
  expect(pullSecretsOf(make(settings))).toBeUndefined();
});

test('other Secrets are another revision', () => {
  expect(desiredRevision(model, withSecrets)).not.toBe(desiredRevision(model, settings));
});

test.each([
  ['serving pods', (given: WorkloadSettings) => makeServerDeployment(model, 'r', given)],
  ['workers', (given: WorkloadSettings) => makeWorkerDeployment(model, given)],
])('%s are told another log level than their own', (_what, make) => {
  expect(logLevelOf(make({ ...settings, logLevel: 'warn' }))).toBe('warn');
  expect(logLevelOf(make(settings))).toBeUndefined();
});

describe('who may call', () => {
  interface Pod {
    containers: { env: { name: string; value?: string }[]; volumeMounts: Record<string, unknown>[] }[];
    volumes: Record<string, unknown>[];
  }
  const podOf = (deployment: object): Pod => (deployment as { spec: { template: { spec: Pod } } }).spec.template.spec;
  const asking = {
    ...settings,
    access: { env: { RISKMODEL_AUTH: 'api-key', RISKMODEL_RATE_LIMIT_ONLINE: '9/s' }, apiKeysSecret: 'callers' },
  };

  test('is told to serving pods, which read keys from files that change with the Secret', () => {
    const { containers, volumes } = podOf(makeServerDeployment(model, 'r', asking));
    const env = Object.fromEntries(containers[0]?.env.map(({ name, value }) => [name, value]) ?? []);
    expect(env).toMatchObject({
      RISKMODEL_AUTH: 'api-key',
      RISKMODEL_RATE_LIMIT_ONLINE: '9/s',
      RISKMODEL_API_KEYS_FILE: '/etc/riskmodel-api-keys',
    });
    expect(containers[0]?.volumeMounts).toContainEqual({
      name: 'api-keys',
      mountPath: '/etc/riskmodel-api-keys',
      readOnly: true,
    });
    expect(volumes).toContainEqual({ name: 'api-keys', secret: { secretName: 'callers' } });
  });

  test('is nothing to workers, and another revision', () => {
    expect(makeWorkerDeployment(model, asking)).toEqual(makeWorkerDeployment(model, settings));
    expect(desiredRevision(model, asking)).not.toBe(desiredRevision(model, settings));
  });
});
