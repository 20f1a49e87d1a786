import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { installApi } from '../harness/apis/install-api.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { OperatorFixture } from './operator-fixture.ts';

jest.setTimeout(120_000);

let fixture: OperatorFixture;

beforeAll(async () => {
  fixture = await OperatorFixture.start();
  fixture.run({ gateway: { name: 'public', namespace: 'gateways' } });
  await fixture.applyModel('credit-default');
  await eventually(async () => {
    const [server] = await fixture.list('deployments');
    expect(server).toBeDefined();
  });
  const servers = (await fixture.list('deployments')).filter(
    ({ metadata }) => metadata.labels?.['riskmodel.io/revision'],
  );
  for (const { metadata } of servers) {
    await eventually(async () => {
      expect(await fixture.get('deployments', metadata.name)).toMatchObject({ spec: { replicas: 2 } });
    });
    await fixture.playDeployment(metadata.name);
  }
  await eventually(async () => expect(await fixture.get('services', 'credit-default')).toBeDefined());
}, 80 * 60_000);

afterAll(() => fixture?.stop());

describe('an API that appears later is picked up', () => {
  test.each([
    ['keda.sh/v1alpha1', 'ScaledObject', 'scaledobjects', 'credit-default-worker'],
    ['monitoring.googleapis.com/v1', 'PodMonitoring', 'podmonitorings', 'credit-default'],
    ['gateway.networking.k8s.io/v1', 'HTTPRoute', 'httproutes', 'credit-default'],
    ['networking.gke.io/v1', 'HealthCheckPolicy', 'healthcheckpolicies', 'credit-default'],
  ])('%s %s', async (apiVersion, kind, plural, name) => {
    await installApi(fixture.plane, { apiVersion, kind, plural });
    const installed = performance.now();
    const group = apiVersion.split('/')[0];
    await eventually(async () => expect(await fixture.get(`${plural}.${group}`, name)).toMatchObject({ kind }), 60_000);
    printFigure(`${kind} made ${Math.round(performance.now() - installed)} ms after its API appeared`);
  });

  test('with KEDA the workers have no other autoscaler', async () => {
    await eventually(async () => {
      expect(await fixture.get('horizontalpodautoscalers', 'credit-default-worker')).toBeUndefined();
    });
    const scaled = (await fixture.get('scaledobjects.keda.sh', 'credit-default-worker'))?.['spec'];
    expect(scaled).toMatchObject({
      minReplicaCount: 0,
      maxReplicaCount: 20,
      triggers: [{ type: 'redis', metadata: { listName: 'riskmodel:risk:batch.credit-default:wait' } }],
    });
  });
});
