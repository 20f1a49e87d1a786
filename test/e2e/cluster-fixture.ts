import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { expect } from '@jest/globals';
import { eventually } from '../harness/eventually.ts';
import { repository } from '../harness/local-system.ts';
import { ClientPod } from './client-pod.ts';
import { claimName, connectCluster, modelNamespace, systemNamespace, type TargetCluster } from './target-cluster.ts';

const example = join(repository, 'examples/credit-default');

export const modelName = 'credit-default';

export interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

export interface PodSummary {
  name: string;
  uid: string;
  restarts: number;
  /** Why its containers ended when they did last, in Kubernetes' words. */
  lastEnds: string[];
}

interface Model extends KubeObject {
  spec: { online: { replicas: { min: number } } };
  status?: {
    observedGeneration?: number;
    revision?: string;
    replicas?: number;
    readyReplicas?: number;
    conditions?: Condition[];
  };
}

/** A cluster where the chart can be installed as a user would, with a client beside the models. */
export class ClusterFixture {
  readonly target: TargetCluster;
  #client: ClientPod | undefined;

  private constructor(target: TargetCluster) {
    this.target = target;
  }

  static async start(): Promise<ClusterFixture> {
    const fixture = new ClusterFixture(await connectCluster());
    try {
      await fixture.#prepare();
      return fixture;
    } catch (error) {
      await fixture.stop();
      throw error;
    }
  }

  /** The namespace of models, with its volume and the model's file in there. */
  async #prepare(): Promise<void> {
    const { kubectl, image, storageClassName } = this.target;
    await this.kubectl(['create', 'namespace', modelNamespace]);
    const accessModes = ['ReadWriteMany'];
    const resources = { requests: { storage: '1Gi' } };
    await this.apply({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: claimName, namespace: modelNamespace },
      spec: { accessModes, storageClassName, resources },
    });
    this.#client = await ClientPod.start(kubectl, {
      namespace: modelNamespace,
      image: `${image.repository}:${image.tag}`,
      imagePullPolicy: image.pullPolicy,
      claimName,
    });
    await this.#client.put('gs://risk-models/credit-default/v1/model.onnx', join(example, 'model.onnx'));
  }

  get client(): ClientPod {
    if (this.#client === undefined) throw new Error('the cluster has no client pod yet');
    return this.#client;
  }

  /** Installs the chart, and waits until the operator's own pods run. */
  async install(): Promise<void> {
    const { image, redisUrl } = this.target;
    const values = {
      image,
      ...(redisUrl === undefined ? { modelNamespaces: [modelNamespace] } : { redis: { url: redisUrl } }),
      models: { drainSeconds: 3 },
      operator: { resources: { requests: { cpu: '50m', memory: '128Mi' } } },
    };
    const where = [`--namespace=${systemNamespace}`, '--create-namespace', '--wait', '--timeout=120s', '--values=-'];
    await this.helm(['install', 'riskmodel', join(repository, 'charts/risk-model'), ...where], JSON.stringify(values));
  }

  helm(args: string[], input = ''): Promise<string> {
    return this.target.helm.run(args, { input, timeoutMs: 180_000 });
  }

  kubectl(args: string[], input?: string): Promise<string> {
    return this.target.kubectl.run(args, input === undefined ? {} : { input });
  }

  async apply(...objects: object[]): Promise<void> {
    await this.kubectl(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  }

  /** Applies the example with small pods and parts of its spec replaced. */
  async applyModel(spec: Record<string, unknown> = {}): Promise<void> {
    const model = parse(await readFile(join(example, 'riskmodel.yaml'), 'utf8')) as KubeObject & {
      spec: Record<string, unknown>;
    };
    const small = { resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } } };
    await this.apply({
      ...model,
      metadata: { name: modelName, namespace: modelNamespace },
      spec: {
        ...model.spec,
        online: { replicas: { min: 2, max: 3 }, ...small },
        batch: { workers: { min: 1, max: 1 }, ...small },
        ...spec,
      },
    });
  }

  /** Applies the model with another threshold, which is another revision, and waits until that one is served. */
  async update(threshold: number): Promise<void> {
    const served = await this.startUpdate(threshold);
    await served();
  }

  /** Changes the manifest. Returns once that is accepted, with how to wait for the new revision's serving. */
  async startUpdate(threshold: number): Promise<() => Promise<void>> {
    const before = (await this.model()).status?.revision;
    await this.applyModel({ decision: { threshold } });
    return () => eventually(async () => expect((await this.model()).status?.revision).not.toBe(before), 120_000);
  }

  get<Kind = KubeObject>(kind: string, name: string, namespace = modelNamespace): Promise<Kind> {
    return this.target.kubectl.json<Kind>(['-n', namespace, 'get', kind, name]);
  }

  model(): Promise<Model> {
    return this.get<Model>('riskmodels', modelName);
  }

  async condition(type: string): Promise<Condition | undefined> {
    return (await this.model()).status?.conditions?.find((candidate) => candidate.type === type);
  }

  /** The pods with these labels; those that are about to go are left out. */
  async pods(namespace: string, labelSelector: string): Promise<PodSummary[]> {
    const { items } = await this.target.kubectl.json<{ items: (KubeObject & PodStatus)[] }>([
      '-n',
      namespace,
      'get',
      'pods',
      `--selector=${labelSelector}`,
    ]);
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata, status }) => ({
        name: metadata.name,
        uid: metadata.uid ?? '',
        restarts: status?.containerStatuses?.reduce((sum, { restartCount }) => sum + restartCount, 0) ?? 0,
        lastEnds: (status?.containerStatuses ?? []).flatMap(({ lastState }) => describeEnd(lastState?.terminated)),
      }))
      .toSorted((a, b) => a.name.localeCompare(b.name));
  }

  operatorPods(): Promise<PodSummary[]> {
    return this.pods(systemNamespace, 'app.kubernetes.io/component=operator');
  }

  /** The pods that models' requests and batches go to. */
  modelPods(): Promise<PodSummary[]> {
    return this.pods(modelNamespace, 'app.kubernetes.io/name=riskmodel');
  }

  /** The name of the operator's pod that leads. */
  async leader(): Promise<string> {
    const lease = await this.get<KubeObject & { spec: { holderIdentity: string } }>(
      'lease',
      'riskmodel-operator',
      systemNamespace,
    );
    return lease.spec.holderIdentity;
  }

  /** The address of a Service within the cluster. */
  async serviceUrl(name: string): Promise<string> {
    const { spec } = await this.get<KubeObject & { spec: { clusterIP: string } }>('services', name);
    return `http://${spec.clusterIP}`;
  }

  async stop(): Promise<void> {
    await this.target.stop();
  }
}

interface PodStatus {
  status?: { containerStatuses?: { restartCount: number; lastState?: { terminated?: ContainerEnd } }[] };
}

interface ContainerEnd {
  exitCode: number;
  reason?: string;
  message?: string;
  finishedAt?: string;
}

function describeEnd(end: ContainerEnd | undefined): string[] {
  if (end === undefined) return [];
  return [`${end.finishedAt}: exit code ${end.exitCode}, ${end.reason}: ${end.message ?? ''}`];
}
