import { expect, test } from '@jest/globals';
import { readSettings } from './settings.ts';

const required = {
  POD_NAME: 'operator-1',
  POD_NAMESPACE: 'risk-system',
  REDIS_URL: 'redis://redis:6379',
  RISKMODEL_IMAGE: 'riskmodel:1',
  RISKMODEL_STORAGE_CLAIM: 'data',
};

function pullSecretsOf(text: string | undefined): string[] | undefined {
  return readSettings({ ...required, RISKMODEL_IMAGE_PULL_SECRETS: text }).workloads.imagePullSecrets;
}

test.each([
  [undefined, undefined],
  ['', undefined],
  ['registry', ['registry']],
  ['registry,mirror.example', ['registry', 'mirror.example']],
])('RISKMODEL_IMAGE_PULL_SECRETS %j names %j', (text, names) => {
  expect(pullSecretsOf(text)).toEqual(names);
});

test('pods are told who may call in the words in which the operator is', () => {
  expect(readSettings(required).workloads).not.toHaveProperty('access');
  const env = {
    RISKMODEL_AUTH: 'api-key,oidc',
    RISKMODEL_OIDC_AUDIENCE: 'https://risk.example',
    RISKMODEL_OIDC_ALLOWED_EMAILS: 'a@b.example',
    RISKMODEL_RATE_LIMIT_ONLINE: '100/s',
  };
  expect(readSettings({ ...required, ...env, RISKMODEL_API_KEYS_SECRET: 'callers' }).workloads.access).toEqual({
    env,
    apiKeysSecret: 'callers',
  });
});

test.each(['Registry', 'a b', '-a'])('RISKMODEL_IMAGE_PULL_SECRETS %j is refused', (text) => {
  expect(() => pullSecretsOf(text)).toThrow(
    `RISKMODEL_IMAGE_PULL_SECRETS: no Secret can have the name ${JSON.stringify(text)}`,
  );
});

test.each([
  [undefined, undefined],
  ['info', undefined],
  ['debug', 'debug'],
])('RISKMODEL_MODELS_LOG_LEVEL %j is told to pods as %j', (text, level) => {
  expect(readSettings({ ...required, RISKMODEL_MODELS_LOG_LEVEL: text }).workloads.logLevel).toBe(level);
});

test.each(['RISKMODEL_LOG_LEVEL', 'RISKMODEL_MODELS_LOG_LEVEL'])('a wrong %s is refused by name', (name) => {
  expect(() => readSettings({ ...required, [name]: 'loud' })).toThrow(
    `${name}: must be one of debug, info, warn, error`,
  );
});
