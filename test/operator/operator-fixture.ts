import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { KubeClient } from '@riskmodel/operator/kube/client.ts';
import { loadConnection } from '@riskmodel/operator/kube/load-connection.ts';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { makeOperator } from '@riskmodel/operator/operator.ts';
import type { OperatorSettings } from '@riskmodel/operator/settings.ts';
import { parse } from 'yaml';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import { releaseNamespace, type RenderedObject, type Values } from '../chart/helm-chart.ts';
import { everyRequest } from '../harness/cluster/audit-log.ts';
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from '../harness/cluster/control-plane.ts';
import { repository } from '../harness/local-system.ts';
import { callsOfOperator, grantRights, operatorAccount, refusedCalls, renderChart } from './operator-rights.ts';

/** The claim of the volume that models' pods mount. */
const claimName = 'riskmodel-data';

const settings: OperatorSettings = {
  namespace: undefined,
  ownNamespace: releaseNamespace,
  identity: 'operator-1',
  redisUrl: '',
  logLevel: 'error',
  port: 0,
  resyncSeconds: 36_000,
  workloads: {
    image: 'riskmodel:1',
    imagePullPolicy: 'Never',
    redis: { url: 'redis://redis.riskmodel-system.svc:6379' },
    redisPrefix: 'riskmodel',
    backend: { kind: 'volume', claimName },
    drainSeconds: 1,
    serviceAccountAnnotations: { 'iam.gke.io/gcp-service-account': 'scoring@example.iam.gserviceaccount.com' },
  },
};

/** Has the API server ask who may set an owner reference that holds up its owner, as OpenShift and others do. */
const strictOwners = '--enable-admission-plugins=OwnerReferencesPermissionEnforcement';

export interface FixtureOptions extends ControlPlaneOptions {
  /** The chart's values: they decide what the operator may do. */
  values?: Values;
}

/**
 * A real API server with the CRDs, and the operator on it, which may do what the chart lets it do and nothing else; no
 * controller and no node plays along unless a test does.
 */
export class OperatorFixture {
  readonly plane: ControlPlane;
  /** The operator's. */
  readonly client: KubeClient;
  /** What the chart comes to. */
  readonly chart: readonly RenderedObject[];
  readonly #redis: Redis;
  #running: { stop: AbortController; ended: Promise<void> } | undefined;

  private constructor(plane: ControlPlane, client: KubeClient, chart: readonly RenderedObject[], redis: Redis) {
    this.plane = plane;
    this.client = client;
    this.chart = chart;
    this.#redis = redis;
  }

  static async start({ values, apiServerArgs = [], ...options }: FixtureOptions = {}): Promise<OperatorFixture> {
    const url = process.env['REDIS_URL'];
    if (url === undefined) throw new Error('REDIS_URL is not set: run this test with `npm test`');
    const chart = await renderChart(values);
    const plane = await startControlPlane({
      log: (line) => process.stderr.write(`  ${line}\n`),
      audit: everyRequest,
      apiServerArgs: [strictOwners, ...apiServerArgs],
      ...options,
    });
    for (const crd of ['riskmodels', 'batchpredictions']) {
      await plane.kubectl.run(['apply', '-f', join(repository, `crds/${crd}.yaml`)]);
      await plane.kubectl.run(['wait', '--for=condition=Established', `crd/${crd}.riskmodel.io`]);
    }
    for (const namespace of [releaseNamespace, 'risk']) await plane.kubectl.run(['create', 'namespace', namespace]);
    await grantRights(plane, chart);
    const kubeconfig = await plane.kubeconfigFor({ serviceAccount: operatorAccount });
    const client = new KubeClient({ connection: await loadConnection({}, kubeconfig) });
    return new OperatorFixture(plane, client, chart, new Redis(url, { maxRetriesPerRequest: 2 }));
  }

  /** Starts the operator within this process. */
  run(workloads: Partial<OperatorSettings['workloads']> = {}): void {
    const stop = new AbortController();
    const operator = makeOperator(
      { ...settings, workloads: { ...settings.workloads, ...workloads } },
      {
        client: this.client,
        redis: this.#redis,
        logger: makeLogger('operator', 'error'),
        now: () => new Date(),
        manager: { discoveryMs: 1_000 },
      },
    );
    this.#running = { stop, ended: operator.run(stop.signal) };
  }

  async stopOperator(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.ended;
    this.#running = undefined;
  }

  /** @throws Error when the operator asked for anything that the chart does not let it do */
  async stop(): Promise<void> {
    await this.stopOperator();
    this.#redis.disconnect();
    const refused = await this.plane.auditEvents().then((events) => refusedCalls(callsOfOperator(events)));
    await this.client.close();
    await this.plane.stop();
    if (refused.length > 0) throw new Error(`the chart's roles do not allow: ${[...new Set(refused)].join('; ')}`);
  }

  /** Applies the example with parts of its spec replaced, as a user would. */
  async applyModel(name: string, spec: Record<string, unknown> = {}): Promise<void> {
    await this.applyModels([name], spec);
  }

  /** Applies as many of the example as there are names, at once. */
  async applyModels(names: readonly string[], spec: Record<string, unknown> = {}): Promise<void> {
    const example = parse(
      await readFile(join(repository, 'examples/credit-default/riskmodel.yaml'), 'utf8'),
    ) as KubeObject;
    const items = names.map((name) => ({
      ...example,
      metadata: { name, namespace: 'risk' },
      spec: { ...(example['spec'] as object), ...spec },
    }));
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    await this.plane.kubectl.run(['apply', '-f', '-'], { input });
  }

  /** The volume that models' pods mount, bound to its claim, so that pods can be scheduled. */
  async makeDataVolume(): Promise<void> {
    const claim = { namespace: 'risk', name: claimName };
    const spec = { storageClassName: '', accessModes: ['ReadWriteMany'] };
    await this.plane.api.call('POST', '/api/v1/persistentvolumes', {
      metadata: { name: 'data' },
      spec: { ...spec, capacity: { storage: '1Gi' }, hostPath: { path: '/var/lib/data' }, claimRef: claim },
    });
    await this.plane.api.call('POST', '/api/v1/namespaces/risk/persistentvolumeclaims', {
      metadata: claim,
      spec: { ...spec, volumeName: 'data', resources: { requests: { storage: '1Gi' } } },
    });
  }

  async get(kind: string, name: string): Promise<KubeObject | undefined> {
    const found = await this.list(kind);
    return found.find(({ metadata }) => metadata.name === name);
  }

  /** A condition of a model, as `STATUS REASON`. */
  async condition(model: string, type: string): Promise<string> {
    const status = (await this.get('riskmodels', model))?.['status'] as
      | { conditions?: { type: string; status: string; reason: string }[] }
      | undefined;
    const found = status?.conditions?.find((candidate) => candidate.type === type);
    return `${found?.status} ${found?.reason}`;
  }

  async list(kind: string): Promise<KubeObject[]> {
    const { items } = await this.plane.kubectl.json<{ items: KubeObject[] }>(['-n', 'risk', 'get', kind]);
    return items;
  }

  /** Says of a Deployment what its controller would: that so many of its pods are available. */
  async playDeployment(name: string, available?: number): Promise<void> {
    const path = `/apis/apps/v1/namespaces/risk/deployments/${name}`;
    const deployment = await this.plane.api.call<KubeObject & { spec: { replicas: number } }>('GET', path);
    const count = available ?? deployment.spec.replicas;
    const status = {
      observedGeneration: deployment.metadata.generation,
      replicas: deployment.spec.replicas,
      readyReplicas: count,
      availableReplicas: count,
    };
    await this.plane.api.call('PATCH', `${path}/status`, { status }, 'application/merge-patch+json');
  }
}
