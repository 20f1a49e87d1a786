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
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from '../harness/cluster/control-plane.ts';
import { repository } from '../harness/local-system.ts';

const settings: OperatorSettings = {
  namespace: undefined,
  ownNamespace: 'riskmodel-system',
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
    storage: { claimName: 'riskmodel-data' },
    drainSeconds: 1,
    serviceAccountAnnotations: { 'iam.gke.io/gcp-service-account': 'scoring@example.iam.gserviceaccount.com' },
  },
};

/** A real API server with the CRDs, and the operator on it; no controller and no node plays along unless a test does. */
export class OperatorFixture {
  readonly plane: ControlPlane;
  readonly client: KubeClient;
  readonly #redis: Redis;
  #running: { stop: AbortController; ended: Promise<void> } | undefined;

  private constructor(plane: ControlPlane, client: KubeClient, redis: Redis) {
    this.plane = plane;
    this.client = client;
    this.#redis = redis;
  }

  static async start(options: ControlPlaneOptions = {}): Promise<OperatorFixture> {
    const url = process.env['REDIS_URL'];
    if (url === undefined) throw new Error('REDIS_URL is not set: run this test with `npm test`');
    const plane = await startControlPlane({ log: (line) => process.stderr.write(`  ${line}\n`), ...options });
    for (const crd of ['riskmodels', 'batchpredictions']) {
      await plane.kubectl.run(['apply', '-f', join(repository, `crds/${crd}.yaml`)]);
      await plane.kubectl.run(['wait', '--for=condition=Established', `crd/${crd}.riskmodel.io`]);
    }
    for (const namespace of ['riskmodel-system', 'risk']) await plane.kubectl.run(['create', 'namespace', namespace]);
    const client = new KubeClient({ connection: await loadConnection({}, plane.kubeconfig) });
    return new OperatorFixture(plane, client, new Redis(url, { maxRetriesPerRequest: 2 }));
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

  async stop(): Promise<void> {
    await this.stopOperator();
    this.#redis.disconnect();
    await this.plane.stop();
  }

  /** Applies the example with parts of its spec replaced, as a user would. */
  async applyModel(name: string, spec: Record<string, unknown> = {}): Promise<void> {
    const example = parse(
      await readFile(join(repository, 'examples/credit-default/riskmodel.yaml'), 'utf8'),
    ) as KubeObject;
    const model = {
      ...example,
      metadata: { name, namespace: 'risk' },
      spec: { ...(example['spec'] as object), ...spec },
    };
    await this.plane.kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(model) });
  }

  async get(kind: string, name: string): Promise<KubeObject | undefined> {
    const found = await this.list(kind);
    return found.find(({ metadata }) => metadata.name === name);
  }

  async list(kind: string): Promise<KubeObject[]> {
    const { items } = await this.plane.kubectl.json<{ items: KubeObject[] }>(['-n', 'risk', 'get', kind]);
    return items;
  }

  /** Says of a Deployment what its controller would: that so many of its pods are available. */
  async playDeployment(name: string, available?: number): Promise<void> {
    const deployment = (await this.get('deployments', name)) as KubeObject & { spec: { replicas: number } };
    const count = available ?? deployment.spec.replicas;
    const status = {
      observedGeneration: deployment.metadata.generation,
      replicas: deployment.spec.replicas,
      readyReplicas: count,
      availableReplicas: count,
    };
    const path = `/apis/apps/v1/namespaces/risk/deployments/${name}/status`;
    await this.plane.api.call('PATCH', path, { status }, 'application/merge-patch+json');
  }
}
