import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { findLoadedArtifact, forgetLoadedArtifacts, tellLoadedArtifact } from './loaded-artifact.ts';

const prefix = `test-${randomUUID()}`;
const revision = { prefix, model: 'credit', revision: 'a1' };
const artifact = { uri: 'gs://models/credit.onnx', sha256: 'ab'.repeat(32), generation: '17' };

let redis: Redis;

beforeAll(() => {
  redis = new Redis(process.env['REDIS_URL'] as string);
});
afterAll(async () => {
  await redis.del(`${prefix}:artifacts:credit`, `${prefix}:artifacts:fraud`);
  redis.disconnect();
});

test('what a revision has loaded is found by it alone, as the last pod told it', async () => {
  await tellLoadedArtifact(redis, revision, artifact);
  expect(await findLoadedArtifact(redis, revision)).toEqual(artifact);
  expect(await findLoadedArtifact(redis, { ...revision, revision: 'b2' })).toBeUndefined();
  expect(await findLoadedArtifact(redis, { ...revision, model: 'fraud' })).toBeUndefined();
  const overwritten = { ...artifact, sha256: 'cd'.repeat(32), generation: '18' };
  await tellLoadedArtifact(redis, revision, overwritten);
  expect(await findLoadedArtifact(redis, revision)).toEqual(overwritten);
});

test('a file beside the manifest has no generation', async () => {
  const file = { uri: 'file:///srv/model.onnx', sha256: 'ab'.repeat(32) };
  await tellLoadedArtifact(redis, { ...revision, revision: 'c3' }, { ...file, generation: undefined });
  expect(await findLoadedArtifact(redis, { ...revision, revision: 'c3' })).toEqual(file);
});

test('with the model, all its revisions are forgotten', async () => {
  await tellLoadedArtifact(redis, { ...revision, model: 'fraud' }, artifact);
  await forgetLoadedArtifacts(redis, revision);
  expect(await findLoadedArtifact(redis, revision)).toBeUndefined();
  expect(await findLoadedArtifact(redis, { ...revision, model: 'fraud' })).toEqual(artifact);
});
