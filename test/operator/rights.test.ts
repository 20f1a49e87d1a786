import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { BatchStore } from '@riskmodel/core/batches/batch-store.ts';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { optionalTypes, ownedTypes, scaledObjects } from '@riskmodel/operator/riskmodel/resource-types.ts';
import { Redis } from 'ioredis';
import { freePort } from '@riskmodel/core/free-port.ts';
import type { Values } from '../chart/helm-chart.ts';
import { installApi } from '../harness/apis/install-api.ts';
import type { AuditEvent } from '../harness/cluster/audit-log.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { OperatorFixture } from './operator-fixture.ts';
import { OperatorProgram } from './operator-program.ts';
import { callsOfOperator, grantedRights, operatorAccount, refusedCalls, usedRights } from './operator-rights.ts';
import { configureService, webhookName } from './webhook-replica.ts';

jest.setTimeout(300_000);
/** The first run on a machine builds Kubernetes. */
const buildTimeoutMs = 80 * 60_000;

/** What the chart grants and no request shows, with the reason. */
const justified: Record<string, string> = {
  'update riskmodels/finalizers.riskmodel.io':
    'checked by the admission plugin OwnerReferencesPermissionEnforcement, which these tests have on, with every object that names its model as owner',
};

const revisionLabel = 'riskmodel.io/revision';
/** An event that comes again is told no sooner. */
const eventSeriesMs = 60_000;

interface Scope {
  name: string;
  values: Values;
  env: NodeJS.ProcessEnv;
}

const scopes: Scope[] = [
  { name: 'one namespace', values: { scope: 'Namespaced', watchNamespace: 'risk' }, env: { WATCH_NAMESPACE: 'risk' } },
  { name: 'all namespaces', values: {}, env: {} },
];

describe.each(scopes)('the operator of $name, with what the chart grants it,', ({ name, values, env }) => {
  const isClusterWide = name === 'all namespaces';
  const installation = `rights-${isClusterWide ? 'cluster' : 'namespace'}`;
  let fixture: OperatorFixture;
  let kubeconfig: string;
  let operator: OperatorProgram;
  let redis: Redis;
  let batches: BatchStore;

  beforeAll(async () => {
    redis = new Redis(process.env['REDIS_URL'] as string, { maxRetriesPerRequest: null });
    batches = new BatchStore(redis, `${installation}:risk`);
    fixture = await OperatorFixture.start({ values });
    for (const type of optionalTypes.filter(({ kind }) => kind !== 'ScaledObject')) {
      await installApi(fixture.plane, type);
    }
    kubeconfig = await fixture.plane.kubeconfigFor({ serviceAccount: operatorAccount });
    operator = await startOperator('operator-1', { RISKMODEL_GATEWAY_NAME: 'public' });
  }, buildTimeoutMs);

  afterAll(async () => {
    await operator?.kill();
    await fixture?.stop();
    const keys = await redis.keys(`${installation}:*`);
    if (keys.length > 0) await redis.del(keys);
    redis.disconnect();
  });

  async function startOperator(pod: string, more: NodeJS.ProcessEnv = {}): Promise<OperatorProgram> {
    const webhook = { plane: fixture.plane, objects: fixture.chart };
    const port = await freePort();
    const webhookEnv = {
      RISKMODEL_WEBHOOK_PORT: String(port),
      RISKMODEL_WEBHOOK_SERVICE: webhookName,
      RISKMODEL_WEBHOOK_SECRET: `${webhookName}-certificate`,
      RISKMODEL_WEBHOOK_CONFIGURATION: webhookName,
    };
    if (isClusterWide) await configureService(webhook, port);
    const program = await OperatorProgram.start(kubeconfig, pod, {
      RISKMODEL_REDIS_PREFIX: installation,
      ...env,
      ...(isClusterWide ? webhookEnv : {}),
      ...more,
    });
    await eventually(async () => expect((await fetch(`${program.url}/readyz`)).status).toBe(200), 60_000);
    return program;
  }

  /** Applies a spec and plays its Deployments until it serves. */
  async function serve(model: string, spec: Record<string, unknown> = {}): Promise<void> {
    await eventually(() => fixture.applyModel(model, spec), 60_000);
    await eventually(async () => {
      const { generation } = (await fixture.get('riskmodels', model))?.metadata ?? {};
      for (const { metadata } of await serversOf(model)) await fixture.playDeployment(metadata.name);
      const found = await fixture.get('riskmodels', model);
      expect(found?.['status']).toMatchObject({ observedGeneration: generation });
      expect(await fixture.condition(model, 'Progressing')).toBe('False UpToDate');
    }, 60_000);
  }

  async function serversOf(model: string): Promise<KubeObject[]> {
    const all = await fixture.list('deployments');
    return all.filter(
      ({ metadata: { labels = {} } }) => labels['riskmodel.io/model'] === model && labels[revisionLabel],
    );
  }

  /** Takes a label of the model's objects of a kind away, and waits until they have it again. */
  async function putRight(kind: string): Promise<void> {
    const selector = 'riskmodel.io/model=credit-default';
    const named = async (): Promise<number> =>
      (await fixture.list(kind)).filter(
        ({ metadata: { labels = {} } }) => labels['app.kubernetes.io/name'] === 'riskmodel',
      ).length;
    const before = await named();
    expect(before).toBeGreaterThan(0);
    await fixture.plane.kubectl.run(['-n', 'risk', 'label', kind, '-l', selector, 'app.kubernetes.io/name-']);
    await eventually(async () => expect(await named()).toBe(before));
  }

  async function applyRun(run: string, spec: Record<string, unknown> = {}): Promise<void> {
    const object = {
      apiVersion: 'riskmodel.io/v1alpha1',
      kind: 'BatchPrediction',
      metadata: { name: run, namespace: 'risk' },
      spec: { model: 'credit-default', input: { uri: 'gs://in-put/x.csv' }, ...spec },
    };
    await fixture.plane.kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(object) });
  }

  async function batchOf(run: string): Promise<string> {
    let id: string | undefined;
    await eventually(async () => {
      id = ((await fixture.get('rbatch', run))?.['status'] as { batchId?: string } | undefined)?.batchId;
      expect(id).toBeDefined();
    });
    return id as string;
  }

  test('serves a model, where the cluster has them with objects of further APIs', async () => {
    await serve('credit-default', {
      batch: { schedules: [{ name: 'nightly', cron: '0 3 * * *', input: 'gs://in-put/{{date}}.csv' }] },
    });
    for (const kind of ['services', 'podmonitorings', 'httproutes', 'healthcheckpolicies', 'serviceaccounts']) {
      await eventually(async () => expect(await fixture.get(kind, 'credit-default')).toBeDefined());
    }
  });

  test('tells of a model that is away and comes back, by the same event as before', async () => {
    const [server] = await serversOf('credit-default');
    await fixture.playDeployment(server?.metadata.name ?? '', 0);
    await eventually(async () => expect(await fixture.condition('credit-default', 'Ready')).toBe('False NoReadyPods'));
    await fixture.playDeployment(server?.metadata.name ?? '');
    await eventually(async () => expect(await fixture.condition('credit-default', 'Ready')).toBe('True Serving'));
  });

  test('updates it, goes back, and removes what is kept no longer', async () => {
    await serve('credit-default', { decision: { threshold: 0.3 } });
    await serve('credit-default');
    await serve('credit-default', { decision: { threshold: 0.4 }, revisionHistoryLimit: 0 });
    await eventually(async () => expect(await serversOf('credit-default')).toHaveLength(1));
  });

  test('puts drift right, and leaves alone what is in its way', async () => {
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'service', 'credit-default']);
    await eventually(async () => expect(await fixture.get('services', 'credit-default')).toBeDefined());
    await fixture.plane.kubectl.run(['-n', 'risk', 'create', 'serviceaccount', 'taken']);
    await fixture.applyModel('taken');
    await eventually(async () => expect(await fixture.condition('taken', 'Ready')).toBe('False NotOwned'));
  });

  test('puts right an edited object of every kind', async () => {
    const kinds = [...ownedTypes, ...optionalTypes]
      .map(({ plural }) => plural)
      .filter((kind) => kind !== 'scaledobjects');
    for (const kind of kinds) await putRight(kind);
  });

  test('runs batches, calls one off, and removes one whose time is over', async () => {
    await applyRun('regretted');
    await batchOf('regretted');
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'rbatch', 'regretted', '--timeout=50s']);
    await applyRun('brief', { ttlSecondsAfterFinished: 1 });
    const id = await batchOf('brief');
    const finishedAt = new Date().toISOString();
    await batches.transition(id, ['queued'], 'failed', { finishedAt, error: { code: 'NotFound', message: 'none' } });
    await eventually(async () => expect(await fixture.get('rbatch', 'brief')).toBeUndefined(), 60_000);
  });

  test('leaves workers to KEDA when that comes, and turns serving off', async () => {
    await installApi(fixture.plane, scaledObjects);
    await eventually(async () => {
      expect(await fixture.get('scaledobjects', 'credit-default-worker')).toBeDefined();
      expect(await fixture.get('horizontalpodautoscalers', 'credit-default-worker')).toBeUndefined();
    }, 90_000);
    await putRight('scaledobjects');
    await fixture.applyModel('credit-default', { online: { replicas: { min: 0 } } });
    await eventually(async () =>
      expect(await fixture.get('horizontalpodautoscalers', 'credit-default')).toBeUndefined(),
    );
  });

  test('takes a model from a Gateway that is named no longer, as another replica that leads', async () => {
    await expectNoEventWaits();
    await operator.stop();
    operator = await startOperator('operator-2');
    for (const kind of ['httproutes', 'healthcheckpolicies']) {
      await eventually(async () => expect(await fixture.list(kind)).toEqual([]), 60_000);
    }
  });

  test('lets a model go', async () => {
    await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'riskmodel', '--all', '--timeout=50s']);
  });

  test('is refused nothing, and everything that is granted was used, or is there for a reason', async () => {
    const calls = callsOfOperator(await fixture.plane.auditEvents());
    expect(calls.length).toBeGreaterThan(100);
    expect(refusedCalls(calls)).toEqual([]);
    const granted = grantedRights(fixture.chart);
    const used = usedRights(calls);
    printFigure(
      `rights of the operator of ${name}: ${calls.length} calls, none refused; ${granted.size} rights granted, ` +
        `${used.size} used, ${Object.keys(justified).length} there for a reason`,
    );
    expect([...granted].filter((right) => !used.has(right)).toSorted()).toEqual(Object.keys(justified));
    expect([...used].filter((right) => !granted.has(right))).toEqual([]);
  });

  /** An event that came again is told a minute after the first of its kind. */
  async function expectNoEventWaits(): Promise<void> {
    await eventually(async () => {
      const used = usedRights(callsOfOperator(await fixture.plane.auditEvents()));
      expect(used).toContain('patch events.events.k8s.io');
    }, 1.5 * eventSeriesMs);
  }
});

function call(verb: string, code: number, resource: string, apiGroup?: string, subresource?: string): AuditEvent {
  return {
    stage: 'ResponseComplete',
    verb,
    requestURI: '/',
    user: { username: 'operator' },
    objectRef: { resource, ...(apiGroup && { apiGroup }), ...(subresource && { subresource }) },
    responseStatus: { code },
    requestReceivedTimestamp: '',
  };
}

describe('a right', () => {
  test('to create is needed by server-side apply of what is not there', () => {
    expect(usedRights([call('patch', 201, 'services')])).toEqual(new Set(['create services', 'patch services']));
    expect(usedRights([call('patch', 200, 'deployments', 'apps')])).toEqual(new Set(['patch deployments.apps']));
  });

  test('is to a subresource of its own', () => {
    expect(usedRights([call('patch', 200, 'riskmodels', 'riskmodel.io', 'status')])).toEqual(
      new Set(['patch riskmodels/status.riskmodel.io']),
    );
  });

  test('that is missing shows', () => {
    expect(refusedCalls([call('get', 200, 'pods'), call('get', 403, 'secrets')])).toEqual(['get /']);
  });
});
