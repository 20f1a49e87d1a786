import { expect, test } from '@jest/globals';
import type { WorkloadSettings } from '../settings.ts';
import { makeModel } from '../testing/make-model.ts';
import { makeWorkerScaledObject } from './make-autoscaling.ts';

function settings(redis: WorkloadSettings['redis']): WorkloadSettings {
  return {
    image: 'riskmodel:1',
    imagePullPolicy: 'IfNotPresent',
    redis,
    redisPrefix: 'riskmodel',
    backend: { kind: 'volume', claimName: 'riskmodel-data' },
    drainSeconds: 10,
    serviceAccountAnnotations: {},
  };
}

test.each([
  ['redis://redis.example', { address: 'redis.example:6379' }],
  ['redis://redis.example:6380/2', { address: 'redis.example:6380', databaseIndex: '2' }],
  ['rediss://redis.example:6380', { address: 'redis.example:6380', enableTLS: 'true' }],
])('KEDA is told where %s is, as its trigger takes it', (url, expected) => {
  const { spec } = makeWorkerScaledObject(makeModel(), settings({ url })) as unknown as {
    spec: { triggers: { type: string; metadata: Record<string, string> }[] };
  };
  expect(spec.triggers).toEqual([
    {
      type: 'redis',
      metadata: { ...expected, listName: 'riskmodel:risk:batch.credit-default:wait', listLength: '5' },
    },
  ]);
});

test('a URL in a Secret is nothing that KEDA can read', () => {
  expect(makeWorkerScaledObject(makeModel(), settings({ secretName: 'redis', secretKey: 'url' }))).toBeUndefined();
});
