import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { OperatorFixture } from './operator-fixture.ts';

jest.setTimeout(120_000);
/** The first run on a machine builds Kubernetes. */
const buildTimeoutMs = 80 * 60_000;

let fixture: OperatorFixture;

beforeAll(async () => {
  fixture = await OperatorFixture.start();
  fixture.run();
}, buildTimeoutMs);

afterAll(() => fixture?.stop());

const revisionLabel = 'riskmodel.io/revision';

/** Names of the model's serving Deployments, by revision. */
async function serverDeployments(model: string): Promise<KubeObject[]> {
  const all = await fixture.list('deployments');
  return all.filter(
    ({ metadata }) => metadata.labels?.['riskmodel.io/model'] === model && metadata.labels[revisionLabel] !== undefined,
  );
}

async function trafficOf(model: string): Promise<string | undefined> {
  const service = (await fixture.get('services', model)) as
    | (KubeObject & { spec: { selector: Record<string, string> } })
    | undefined;
  return service?.spec.selector[revisionLabel];
}

/** Waits for the model to have so many revisions, and returns their Deployments, oldest first. */
async function revisions(model: string, count: number): Promise<KubeObject[]> {
  let found: KubeObject[] = [];
  await eventually(async () => {
    found = await serverDeployments(model);
    expect(found).toHaveLength(count);
  });
  return found.toSorted((a, b) => Date.parse(createdAt(a)) - Date.parse(createdAt(b)));
}

function createdAt({ metadata }: KubeObject): string {
  return metadata.creationTimestamp ?? '';
}

/** Of everything but the RiskModels, whose status and annotations change. */
function versions(objects: KubeObject[]): unknown[] {
  const others = objects.filter(({ kind }) => kind !== 'RiskModel');
  return others.map(({ metadata }) => [metadata.name, metadata.resourceVersion]);
}

function replicasOf(deployment: KubeObject | undefined): number | undefined {
  return (deployment?.['spec'] as { replicas?: number } | undefined)?.replicas;
}

async function eventReasons(model: string): Promise<string[]> {
  const events = (await fixture.list('events')) as (KubeObject & {
    reason: string;
    involvedObject: { name: string };
  })[];
  return events.filter(({ involvedObject }) => involvedObject.name === model).map(({ reason }) => reason);
}

describe('a model', () => {
  const model = 'credit-default';

  test('gets its objects, and traffic once its pods are ready', async () => {
    const started = performance.now();
    await fixture.applyModel(model);
    const [first] = await revisions(model, 1);
    printFigure(`from kubectl apply to the first Deployment: ${Math.round(performance.now() - started)} ms`);
    await eventually(async () => {
      expect(replicasOf(await fixture.get('deployments', first?.metadata.name ?? ''))).toBe(2);
      expect(await fixture.condition(model, 'Progressing')).toBe('True RollingOut');
    });
    expect(await fixture.condition(model, 'Ready')).toBe('False Deploying');
    expect(await trafficOf(model)).toBeUndefined();

    await fixture.playDeployment(first?.metadata.name ?? '');
    await eventually(async () => {
      expect(await fixture.condition(model, 'Ready')).toBe('True Serving');
      expect(await trafficOf(model)).toBe(first?.metadata.labels?.[revisionLabel]);
    });
    const kinds = [
      'configmaps',
      'services',
      'serviceaccounts',
      'horizontalpodautoscalers',
      'poddisruptionbudgets',
      'networkpolicies',
      'deployments',
    ];
    const names = await Promise.all(
      kinds.map(async (kind) => {
        const owned = (await fixture.list(kind)).filter(
          ({ metadata }) => metadata.labels?.['riskmodel.io/model'] === model,
        );
        return [kind, owned.length];
      }),
    );
    expect(Object.fromEntries(names)).toEqual({
      configmaps: 2,
      services: 2,
      serviceaccounts: 1,
      horizontalpodautoscalers: 2,
      poddisruptionbudgets: 1,
      networkpolicies: 2,
      deployments: 2,
    });
  });

  test('the printer columns tell it', async () => {
    const table = await fixture.plane.kubectl.run(['-n', 'risk', 'get', 'rmodel', model]);
    expect(table.split('\n')[0]?.split(/ +/)).toEqual([
      'NAME',
      'READY',
      'REVISION',
      'VERSION',
      'REPLICAS',
      'URL',
      'AGE',
    ]);
    expect(table).toMatch(/credit-default +True +[0-9a-f]{8} +1 +2 +http:\/\/credit-default\.risk\.svc +/);
  });

  test('people hear of it by events', async () => {
    await eventually(async () => {
      expect(await eventReasons(model)).toEqual(expect.arrayContaining(['Deploying', 'Serving']));
    });
  });

  test('an unchanged model is not written to', async () => {
    const before = await fixture.list('deployments,services,configmaps,horizontalpodautoscalers,riskmodels');
    await fixture.plane.kubectl.run(['-n', 'risk', 'annotate', 'riskmodel', model, 'note=hello']);
    await fixture.stopOperator();
    fixture.run();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const after = await fixture.list('deployments,services,configmaps,horizontalpodautoscalers,riskmodels');
    expect(versions(after)).toEqual(versions(before));
  });

  test('an update: the new revision becomes as large as the old one is, gets traffic when ready, the old one drains to zero', async () => {
    const [first] = await revisions(model, 1);
    const firstName = first?.metadata.name ?? '';
    // The autoscaler's doing.
    await fixture.plane.kubectl.run(['-n', 'risk', 'scale', 'deployment', firstName, '--replicas=5']);
    await fixture.playDeployment(firstName);
    await fixture.applyModel(model, { decision: { threshold: 0.3 } });
    const [, second] = await revisions(model, 2);
    const secondName = second?.metadata.name ?? '';
    await eventually(async () => expect(replicasOf(await fixture.get('deployments', secondName))).toBe(5));
    await fixture.playDeployment(secondName, 4);
    expect(await trafficOf(model)).toBe(first?.metadata.labels?.[revisionLabel]);
    expect(await fixture.condition(model, 'Ready')).toBe('True Serving');

    await fixture.playDeployment(secondName);
    await eventually(async () => {
      expect(await trafficOf(model)).toBe(second?.metadata.labels?.[revisionLabel]);
      expect(await fixture.condition(model, 'Progressing')).toBe('False UpToDate');
    });
    await eventually(async () => expect(replicasOf(await fixture.get('deployments', firstName))).toBe(0));
    expect(replicasOf(await fixture.get('deployments', secondName))).toBe(5);
    await eventually(async () => {
      expect(await eventReasons(model)).toEqual(expect.arrayContaining(['RollingOut', 'UpToDate']));
    });
  });

  test('going back starts the kept revision again', async () => {
    await fixture.applyModel(model);
    const [first] = await revisions(model, 2);
    const name = first?.metadata.name ?? '';
    await eventually(async () => expect(replicasOf(await fixture.get('deployments', name))).toBe(5));
    await fixture.playDeployment(name);
    await eventually(async () => expect(await trafficOf(model)).toBe(first?.metadata.labels?.[revisionLabel]));
    const back = await fixture.get('deployments', name);
    expect(back?.metadata.annotations?.['riskmodel.io/retired-at']).toBeUndefined();
  });

  test('drift is put right: a deleted Service, an edited Deployment', async () => {
    const [first] = await revisions(model, 2);
    const name = first?.metadata.name ?? '';
    const started = performance.now();
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'service', model]);
    await fixture.plane.kubectl.run(['-n', 'risk', 'set', 'image', `deployment/${name}`, 'server=elsewhere:2']);
    await eventually(async () => {
      expect(await trafficOf(model)).toBe(first?.metadata.labels?.[revisionLabel]);
      const deployment = (await fixture.get('deployments', name)) as KubeObject & {
        spec: { replicas: number; template: { spec: { containers: { image: string }[] } } };
      };
      expect(deployment.spec.template.spec.containers[0]?.image).toBe('riskmodel:1');
      expect(deployment.spec.replicas).toBe(5);
    });
    printFigure(`drift put right after ${Math.round(performance.now() - started)} ms`);
  });

  test('what others add stays', async () => {
    await fixture.plane.kubectl.run(['-n', 'risk', 'annotate', 'service', model, 'team=scoring']);
    await fixture.applyModel(model, { online: { replicas: { min: 3, max: 9 } } });
    await eventually(async () => {
      const autoscaler = (await fixture.get('horizontalpodautoscalers', model)) as KubeObject & {
        spec: { minReplicas: number };
      };
      expect(autoscaler.spec.minReplicas).toBe(3);
    });
    expect((await fixture.get('services', model))?.metadata.annotations).toMatchObject({ team: 'scoring' });
  });

  test('what the manifest says no longer goes', async () => {
    const resources = { requests: { cpu: '2' } };
    await fixture.applyModel(model, { batch: { resources } });
    await eventually(async () => {
      const worker = (await fixture.get('deployments', `${model}-worker`)) as KubeObject & {
        spec: { template: { spec: { containers: { resources: object }[] } } };
      };
      expect(worker.spec.template.spec.containers[0]?.resources).toEqual(resources);
    });
  });

  test('deleted, it goes with what it has in Redis', async () => {
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'riskmodel', model, '--timeout=50s']);
    expect(await fixture.get('riskmodels', model)).toBeUndefined();
  });
});

describe('an object that is in the way', () => {
  test('is reported and never taken over', async () => {
    await fixture.plane.kubectl.run(['-n', 'risk', 'create', 'serviceaccount', 'taken']);
    const before = await fixture.get('serviceaccounts', 'taken');
    await fixture.applyModel('taken');
    await eventually(async () => expect(await fixture.condition('taken', 'Ready')).toBe('False NotOwned'));
    expect((await fixture.get('serviceaccounts', 'taken'))?.metadata.resourceVersion).toBe(
      before?.metadata.resourceVersion,
    );
  });
});
