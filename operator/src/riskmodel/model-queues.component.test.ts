import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { tellLoadedArtifact } from '@riskmodel/core/serving/loaded-artifact.ts';
import { Redis } from 'ioredis';
import { RedisModelQueues } from './model-queues.ts';
import type { WorkloadSettings } from './settings.ts';
import { makeModel } from './testing/make-model.ts';

const redisPrefix = `test-${randomUUID()}`;
const settings: WorkloadSettings = {
  image: 'riskmodel:1',
  imagePullPolicy: 'Never',
  redis: { url: 'redis://redis:6379' },
  redisPrefix,
  backend: { kind: 'volume', claimName: 'data' },
  drainSeconds: 1,
  serviceAccountAnnotations: {},
};
const model = makeModel();
const artifact = { uri: 'gs://models/credit.onnx', sha256: 'ab'.repeat(32), generation: '17' };

let redis: Redis;
let queues: RedisModelQueues;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string, { maxRetriesPerRequest: null });
  queues = new RedisModelQueues(redis, settings, () => new Date());
});
afterAll(async () => {
  const keys = await redis.keys(`${redisPrefix}:*`);
  if (keys.length > 0) await redis.del(keys);
  redis.disconnect();
});

test('what a pod of the model has told is found where pods tell it, and goes with the model', async () => {
  const told = { prefix: `${redisPrefix}:risk`, model: model.metadata.name, revision: 'a1' };
  await tellLoadedArtifact(redis, told, artifact);
  expect(await queues.loadedArtifact(model, 'a1')).toEqual(artifact);
  expect(await queues.loadedArtifact(model, 'b2')).toBeUndefined();
  const elsewhere = makeModel({}, { namespace: 'cards' });
  expect(await queues.loadedArtifact(elsewhere, 'a1')).toBeUndefined();
  await queues.remove(model);
  expect(await queues.loadedArtifact(model, 'a1')).toBeUndefined();
});
