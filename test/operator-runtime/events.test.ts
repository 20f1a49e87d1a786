import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { KubeClient } from '../../operator/src/kube/client.ts';
import type { Clock } from '../../operator/src/runtime/clock.ts';
import { systemClock } from '../../operator/src/runtime/clock.ts';
import { EventRecorder, eventType, type EventInput } from '../../operator/src/runtime/event-recorder.ts';
import { quietLogger } from '../../operator/src/testing/quiet-logger.ts';
import type { ControlPlane } from '../harness/cluster/control-plane.ts';
import { eventually } from '../harness/eventually.ts';
import { buildTimeoutMs, clientOf, makeConfigMap, startPlane } from './plane.ts';

jest.setTimeout(120_000);

let plane: ControlPlane;
let client: KubeClient;
beforeAll(async () => {
  plane = await startPlane();
  client = await clientOf(plane);
}, buildTimeoutMs);
afterAll(async () => {
  await client?.close();
  await plane?.stop();
});

/** A hundred times as fast, so that a minute's patience is a moment. */
const hurriedClock: Clock = {
  now: () => systemClock.now(),
  after: (ms, callback) => systemClock.after(ms / 100, callback),
};

test('events are accepted by the API server, counted, and told by kubectl', async () => {
  const object = await client.create(makeConfigMap('credit'));
  const recorder = new EventRecorder({
    client,
    controller: 'riskmodel.io/operator',
    instance: 'operator-0',
    clock: hurriedClock,
    random: Math.random,
    logger: quietLogger().logger,
  });
  const event: EventInput = {
    type: 'Warning',
    reason: 'ArtifactMissing',
    action: 'RollOut',
    note: `gs://b/model.onnx does not exist; ${'€'.repeat(500)}`,
  };
  recorder.record(object, event);
  await eventually(async () => expect((await client.list(eventType)).items).toHaveLength(1));
  for (let i = 0; i < 4; i++) recorder.record(object, event);
  await eventually(async () => {
    expect((await client.list(eventType)).items).toMatchObject([{ series: { count: 5 } }]);
  });
  recorder.stop();
  const { uid, resourceVersion } = object.metadata;
  expect((await client.list(eventType)).items).toMatchObject([
    {
      reason: 'ArtifactMissing',
      reportingController: 'riskmodel.io/operator',
      regarding: { kind: 'ConfigMap', namespace: 'default', name: 'credit', uid, resourceVersion },
    },
  ]);
  const described = await plane.kubectl.run(['events', '--for', 'configmap/credit']);
  expect(described).toMatch(
    /x5 over .*Warning\s+ArtifactMissing\s+ConfigMap\/credit\s+gs:\/\/b\/model.onnx does not exist/s,
  );
});
