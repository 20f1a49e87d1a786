import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PubSub, type Message, type Topic } from '@google-cloud/pubsub';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import { parseManifests } from '@riskmodel/core/riskmodel/manifest.ts';
import type { BatchTrigger, RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import { runTriggers } from '@riskmodel/operator/triggers/run-triggers.ts';
import type { WorkloadSettings } from '@riskmodel/operator/riskmodel/settings.ts';
import { CloudStorage } from '../harness/cloud-storage.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { exampleManifest } from '../harness/manifests.ts';
import { PubSubEmulator } from '../harness/pubsub-emulator.ts';
import { RedisProcess } from '../harness/redis-process.ts';

/** The first run builds the emulators. */
const buildTimeoutMs = 15 * 60_000;
jest.setTimeout(120_000);

const project = 'local';
const logger = makeLogger('operator', 'error');

function model(name: string, triggers: BatchTrigger[]): RiskModel {
  const manifest = exampleManifest({ triggers });
  const [parsed] = parseManifests(JSON.stringify({ ...manifest, metadata: { name } }), 'm.json') as [RiskModel];
  return { ...parsed, metadata: { ...parsed.metadata, namespace: 'risk' } };
}

function notify(topic: Topic, path: string, generation: number): Promise<string> {
  return topic.publishMessage({
    data: Buffer.from('{}'),
    attributes: {
      eventType: 'OBJECT_FINALIZE',
      bucketId: 'applicants',
      objectId: path,
      objectGeneration: String(generation),
    },
  });
}

describe('notifications of buckets, through a real Pub/Sub', () => {
  let emulator: PubSubEmulator;
  let folder: string;
  let redisProcess: RedisProcess;
  let redis: Redis;
  let pubsub: PubSub;
  let workloads: WorkloadSettings;
  let batches: BatchStore;
  const running: { stop: () => Promise<void> }[] = [];

  beforeAll(async () => {
    emulator = await PubSubEmulator.start();
    process.env['PUBSUB_EMULATOR_HOST'] = emulator.address;
    pubsub = new PubSub({ projectId: project });
    folder = await mkdtemp(join(tmpdir(), 'riskmodel-triggers-'));
    redisProcess = await RedisProcess.start(folder);
    redis = connectRedis(redisProcess.url, 'request', () => {});
    const redisPrefix = `test-${randomUUID().slice(0, 8)}`;
    workloads = {
      image: 'riskmodel',
      imagePullPolicy: 'Never',
      imagePullSecrets: [],
      redis: { url: redisProcess.url },
      redisPrefix,
      backend: { kind: 'gcp', stagingUri: 'gs://staging' },
      drainSeconds: 1,
      serviceAccountAnnotations: {},
    };
    batches = new BatchStore(redis, `${redisPrefix}:risk`);
  }, buildTimeoutMs);

  afterAll(async () => {
    await Promise.all(running.map(({ stop }) => stop()));
    await pubsub?.close();
    redis?.disconnect();
    await redisProcess?.kill();
    await emulator?.stop();
    delete process.env['PUBSUB_EMULATOR_HOST'];
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** A topic with a subscription that gives messages back soon, and a dead-letter topic whose messages are kept. */
  async function makeTopic(name: string): Promise<{ topic: Topic; deadLetters: Message[] }> {
    const [topic] = await pubsub.createTopic(name);
    await topic.createSubscription(name, { ackDeadlineSeconds: 10 });
    const [dead] = await pubsub.createTopic(`${name}-dead`);
    const [subscription] = await dead.createSubscription(`${name}-dead`);
    const deadLetters: Message[] = [];
    subscription.on('message', (message: Message) => {
      deadLetters.push(message);
      message.ack();
    });
    running.push({ stop: () => subscription.close() });
    return { topic, deadLetters };
  }

  /** One replica of the operator, as far as notifications go. */
  function subscribe(name: string, models: RiskModel[]): { stop: () => Promise<void> } {
    const stopping = new AbortController();
    const settings = {
      subscription: `projects/${project}/subscriptions/${name}`,
      deadLetterTopic: `projects/${project}/topics/${name}-dead`,
    };
    const deps = { redis, workloads, models: () => models, logger, now: () => new Date() };
    const ended = runTriggers(settings, deps, stopping.signal);
    const replica = {
      stop: () => {
        stopping.abort();
        return ended;
      },
    };
    running.push(replica);
    return replica;
  }

  test('redelivered and reordered, to two replicas of which one ends: one batch per version of an object', async () => {
    const { topic } = await makeTopic('repeated');
    const models = [model('repeated', [{ prefix: 'in/' }])];
    const first = subscribe('repeated', models);
    subscribe('repeated', models);
    const versions = Array.from({ length: 100 }, (_, i) => ({ path: `in/${i >> 1}.csv`, generation: 1 + (i & 1) }));
    // Each three times, in an order of its own: the multiplier has no factor in common with the length.
    const deliveries = Array.from({ length: 300 }, (_, i) => versions[((i * 137) % 300) % 100] as (typeof versions)[0]);
    await Promise.all(deliveries.slice(0, 150).map(({ path, generation }) => notify(topic, path, generation)));
    await first.stop();
    await Promise.all(deliveries.slice(150).map(({ path, generation }) => notify(topic, path, generation)));
    await notify(topic, 'out/other.csv', 1);
    await eventually(
      async () => expect(await batches.list({ model: 'repeated', limit: 1_000 })).toHaveLength(100),
      60_000,
    );
    await sleep(1_000);
    const found = await batches.list({ model: 'repeated', limit: 1_000 });
    const keys = found.map(({ input, generation }) => `${input}#${generation}`);
    expect(new Set(keys)).toEqual(new Set(versions.map((v) => `gs://applicants/${v.path}#${v.generation}`)));
    expect(keys).toHaveLength(100);
    printFigure(`${deliveries.length} notifications of ${versions.length} versions: ${keys.length} batches`);
  });

  test('a message that is no notification goes to the dead-letter topic with its reason', async () => {
    const { topic, deadLetters } = await makeTopic('poison');
    subscribe('poison', [model('poison', [{ prefix: 'in/' }])]);
    const id = await topic.publishMessage({ data: Buffer.from('hello'), attributes: { from: 'somebody' } });
    await notify(topic, 'in/a.csv', 1);
    await eventually(async () => expect(deadLetters).toHaveLength(1), 30_000);
    expect(deadLetters[0]?.data.toString()).toBe('hello');
    expect(deadLetters[0]?.attributes).toEqual({
      from: 'somebody',
      messageId: id,
      subscription: `projects/${project}/subscriptions/poison`,
      reason: expect.stringContaining('no notification of Cloud Storage: its attribute eventType is missing'),
    });
    await eventually(async () => expect(await batches.list({ model: 'poison', limit: 10 })).toHaveLength(1), 30_000);
  });

  test('while Redis is away nothing is lost', async () => {
    const { topic, deadLetters } = await makeTopic('patient');
    subscribe('patient', [model('patient', [{ prefix: 'in/' }])]);
    await redisProcess.kill();
    await notify(topic, 'in/a.csv', 1);
    await sleep(2_000);
    await redisProcess.start();
    await eventually(async () => expect(await batches.list({ model: 'patient', limit: 10 })).toHaveLength(1), 60_000);
    expect(deadLetters).toEqual([]);
  });

  test('an object that is put into a bucket starts the batch of that version', async () => {
    await makeTopic('objects');
    const storage = await CloudStorage.start({ notifications: { emulator: emulator.address, topic: 'objects' } });
    try {
      await storage.createBucket('applicants');
      subscribe('objects', [model('objects', [{ bucket: 'applicants', suffix: '.json' }])]);
      const upload = `${storage.url}/upload/storage/v1/b/applicants/o?uploadType=media&name=march.json`;
      const answer = await fetch(upload, { method: 'POST', body: '[]' });
      const { generation } = (await answer.json()) as { generation: string };
      await eventually(async () => {
        expect(await batches.list({ model: 'objects', limit: 10 })).toMatchObject([
          { input: 'gs://applicants/march.json', generation, state: 'queued' },
        ]);
      }, 30_000);
    } finally {
      await storage.stop();
    }
  });
});
