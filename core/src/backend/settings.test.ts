import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { readBackendSettings } from './settings.ts';

test('this machine is the default, and needs a folder', () => {
  expect(readBackendSettings({ RISKMODEL_DATA: 'data' })).toEqual({ kind: 'local', dataDir: resolve('data') });
  expect(() => readBackendSettings({})).toThrow('RISKMODEL_DATA is not set');
});

test('Google Cloud needs a place to stage batches in, and nothing else', () => {
  const env = { RISKMODEL_BACKEND: 'gcp', RISKMODEL_STAGING: 'gs://staging/risk/' };
  expect(readBackendSettings(env)).toEqual({ kind: 'gcp', stagingUri: 'gs://staging/risk' });
  expect(readBackendSettings({ ...env, GOOGLE_CLOUD_PROJECT: 'bank', RISKMODEL_BIGQUERY_LOCATION: 'EU' })).toEqual({
    kind: 'gcp',
    stagingUri: 'gs://staging/risk',
    project: 'bank',
    location: 'EU',
  });
  expect(
    readBackendSettings({
      ...env,
      RISKMODEL_BIGQUERY_MAX_BYTES_BILLED: '1000000000',
      RISKMODEL_STORAGE_ENDPOINT: 'http://127.0.0.1:4443',
      RISKMODEL_BIGQUERY_ENDPOINT: 'http://127.0.0.1:9050',
    }),
  ).toMatchObject({
    maximumBytesBilled: 1e9,
    storageEndpoint: 'http://127.0.0.1:4443',
    bigQueryEndpoint: 'http://127.0.0.1:9050',
  });
});

test.each([
  [{ RISKMODEL_BACKEND: 'aws' }, 'RISKMODEL_BACKEND: must be one of local, gcp'],
  [{ RISKMODEL_BACKEND: 'gcp' }, 'RISKMODEL_STAGING is not set'],
  [{ RISKMODEL_BACKEND: 'gcp', RISKMODEL_STAGING: '/tmp' }, 'RISKMODEL_STAGING: must be gs://BUCKET or'],
  [
    { RISKMODEL_BACKEND: 'gcp', RISKMODEL_STAGING: 'gs://staging', RISKMODEL_STORAGE_ENDPOINT: '127.0.0.1:4443' },
    'RISKMODEL_STORAGE_ENDPOINT: must be an address such as http://',
  ],
])('%j is refused', (env, message) => {
  expect(() => readBackendSettings(env)).toThrow(message);
});
