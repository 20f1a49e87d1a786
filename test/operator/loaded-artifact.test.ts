import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { findLoadedArtifact } from '@riskmodel/core/serving/loaded-artifact.ts';
import type { RiskModelStatus } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { Redis } from 'ioredis';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem, repository } from '../harness/local-system.ts';
import { OperatorFixture } from './operator-fixture.ts';

jest.setTimeout(120_000);
/** The first run on a machine builds Kubernetes. */
const buildTimeoutMs = 80 * 60_000;

const model = 'credit-default';
const uri = 'gs://risk-models/credit/model.onnx';
/** Another doc_string: other bytes, and the same model. */
const otherDocument = Buffer.from([0x32, 0x01, 0x78]);

let fixture: OperatorFixture;
let system: LocalSystem;
let redis: Redis;
let content: Buffer;
/** The serving Deployment. */
let server: string;

beforeAll(async () => {
  redis = new Redis(process.env['REDIS_URL'] as string);
  system = await LocalSystem.start();
  content = await readFile(join(repository, 'examples/credit-default/model.onnx'));
  await system.put(uri, { text: content });
  fixture = await OperatorFixture.start();
  fixture.run({ redisPrefix: system.redisPrefix });
}, buildTimeoutMs);

afterAll(async () => {
  await fixture?.stop();
  await system?.stop();
  redis?.disconnect();
});

const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function artifact(): Promise<RiskModelStatus['artifact']> {
  const status = (await fixture.get('riskmodels', model))?.['status'] as RiskModelStatus | undefined;
  return status?.artifact;
}

interface Pods {
  spec: { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } };
}

/**
 * Starts the server as a pod of the Deployment would be: with its environment and the revision's manifest. Waits until it
 * has told what it has loaded, for which it becomes ready without when Redis takes long.
 */
async function startPod(loaded: Buffer): Promise<void> {
  const deployment = (await fixture.get('deployments', server)) as KubeObject & Pods;
  const [container] = deployment.spec.template.spec.containers;
  const given = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]));
  const { data } = (await fixture.get('configmaps', server)) as KubeObject & { data: Record<string, string> };
  const manifests = join(system.folder, 'pod.json');
  await writeFile(manifests, data['riskmodel.json'] ?? '');
  const { RISKMODEL_REVISION = '', RISKMODEL_REDIS_PREFIX = '' } = given;
  await system.startServer({ RISKMODEL_MANIFESTS: manifests, RISKMODEL_REVISION, RISKMODEL_REDIS_PREFIX });
  const revision = { prefix: RISKMODEL_REDIS_PREFIX, model, revision: RISKMODEL_REVISION };
  await eventually(async () => {
    expect(await findLoadedArtifact(redis, revision)).toMatchObject({ sha256: sha256Of(loaded) });
  });
}

test('a file that the manifest does not pin is told by the pods that have loaded it', async () => {
  await fixture.applyModel(model, { artifact: { uri, format: 'ONNX' } });
  await eventually(async () => {
    const found = await fixture.list('deployments');
    server = found.find(({ metadata }) => metadata.labels?.['riskmodel.io/revision'])?.metadata.name ?? '';
    expect(server).not.toBe('');
  });
  // The status comes after the objects.
  await eventually(async () => expect(await artifact()).toEqual({ resolvedUri: uri }));
  await startPod(content);
  await fixture.playDeployment(server);
  const sha256 = sha256Of(content);
  await eventually(async () => {
    expect(await artifact()).toEqual({ resolvedUri: uri, sha256, generation: expect.any(String) });
  });
  printFigure(`an unpinned artifact: sha256 ${sha256.slice(0, 8)}..., generation ${(await artifact())?.generation}`);
});

test('after it was overwritten, what the pod has loaded that started last is told', async () => {
  const before = await artifact();
  const overwritten = Buffer.concat([content, otherDocument]);
  await system.put(uri, { text: overwritten });
  await startPod(overwritten);
  await fixture.playDeployment(server, 1);
  await eventually(async () => expect((await artifact())?.sha256).toBe(sha256Of(overwritten)));
  expect((await artifact())?.generation).not.toBe(before?.generation);
});

test('an update that is not ready yet changes nothing of it', async () => {
  const before = await artifact();
  await fixture.applyModel(model, { artifact: { uri: 'gs://risk-models/credit/next.onnx', format: 'ONNX' } });
  await eventually(async () => {
    const found = await fixture.get('riskmodels', model);
    expect(found?.['status']).toMatchObject({ observedGeneration: found?.metadata.generation });
  });
  expect(await artifact()).toEqual(before);
});

test('it is forgotten with the model', async () => {
  await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'riskmodel', model, '--timeout=50s']);
  expect(await redis.exists(`${system.redisPrefix}:risk:artifacts:${model}`)).toBe(0);
});
