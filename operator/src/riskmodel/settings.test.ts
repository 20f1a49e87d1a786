import { expect, test } from '@jest/globals';
import { makeModel } from './testing/make-model.ts';
import { makePodTemplate } from './resources/pod.ts';
import { backendEnv, type WorkloadSettings } from './settings.ts';

const settings: WorkloadSettings = {
  image: 'riskmodel:1',
  imagePullPolicy: 'IfNotPresent',
  redis: { url: 'redis://r:6379' },
  redisPrefix: 'riskmodel',
  backend: { kind: 'gcp', stagingUri: 'gs://staging/risk', project: 'bank-risk', maximumBytesBilled: 1e12 },
  drainSeconds: 10,
  serviceAccountAnnotations: {},
};

test('batches of two namespaces are staged apart', () => {
  expect(backendEnv(settings, 'retail', '/data')).toEqual({
    RISKMODEL_BACKEND: 'gcp',
    RISKMODEL_STAGING: 'gs://staging/risk/riskmodel/retail',
    GOOGLE_CLOUD_PROJECT: 'bank-risk',
    RISKMODEL_BIGQUERY_MAX_BYTES_BILLED: '1000000000000',
  });
  expect(backendEnv(settings, 'cards', '/data')['RISKMODEL_STAGING']).toBe('gs://staging/risk/riskmodel/cards');
});

test.each<[WorkloadSettings['backend'], string[]]>([
  [settings.backend, ['manifest', 'tmp']],
  [{ kind: 'volume', claimName: 'riskmodel-data' }, ['manifest', 'data', 'tmp']],
])('pods mount a volume for data where that is the backend: %j', (backend, volumes) => {
  const template = makePodTemplate(
    {
      model: makeModel(),
      component: 'server',
      program: 'server/src/main.js',
      configMapName: 'm',
      resources: undefined,
      defaultResources: {},
      env: {},
      container: {},
      terminationGracePeriodSeconds: 30,
      labels: {},
    },
    { ...settings, backend },
  );
  const spec = template['spec'] as { volumes: { name: string }[]; containers: { volumeMounts: { name: string }[] }[] };
  expect(spec.volumes.map(({ name }) => name)).toEqual(volumes);
  expect(spec.containers[0]?.volumeMounts.map(({ name }) => name)).toEqual(volumes);
});
