import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { startCluster, type Cluster } from '../harness/cluster/cluster.ts';
import { makeHelm } from '../harness/cluster/helm.ts';
import { buildImage } from '../harness/cluster/images.ts';
import type { ClusterCommand } from '../harness/cluster/kubectl.ts';
import { repository } from '../harness/local-system.ts';
import { RedisProcess } from '../harness/redis-process.ts';

const image = { repository: 'localhost/riskmodel', tag: 'test' };
const log = (line: string): void => void process.stderr.write(`  ${line}\n`);
const example = join(repository, 'examples/credit-default');

/** A cluster of one node with the product's own image, where the chart can be installed as a user would. */
export class ClusterFixture {
  readonly cluster: Cluster;
  readonly helm: ClusterCommand;
  /** The folder behind the volume that every pod mounts: buckets and warehouse. */
  readonly data: string;
  readonly #redis: RedisProcess;

  private constructor(cluster: Cluster, helm: ClusterCommand, data: string, redis: RedisProcess) {
    this.cluster = cluster;
    this.helm = helm;
    this.data = data;
    this.#redis = redis;
  }

  static async start(): Promise<ClusterFixture> {
    const cluster = await startCluster({ log });
    const archive = join(cluster.folder, 'riskmodel.tar');
    const name = `${image.repository}:${image.tag}`;
    const dockerfile = join(repository, 'Dockerfile');
    await buildImage({ dockerfile, context: repository, name, log }, archive);
    await cluster.loadImage(archive);

    const data = join(cluster.folder, 'data');
    const artifact = join(data, 'buckets/risk-models/credit-default/v1/model.onnx');
    await mkdir(dirname(artifact), { recursive: true });
    await copyFile(join(example, 'model.onnx'), artifact);
    await mkdir(join(data, 'redis'));
    // Pods run as a user of their own.
    for (const folder of ['', 'buckets', 'buckets/risk-models']) await chmod(join(data, folder), 0o777);
    const redis = await RedisProcess.start(join(data, 'redis'), cluster.network.hostAddress);

    const fixture = new ClusterFixture(cluster, await makeHelm(cluster.plane, log), data, redis);
    await fixture.#makeVolume();
    return fixture;
  }

  async #makeVolume(): Promise<void> {
    const capacity = { storage: '1Gi' };
    const accessModes = ['ReadWriteMany'];
    await this.kubectl(['create', 'namespace', 'risk']);
    await this.apply(
      {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: 'riskmodel-data' },
        spec: { capacity, accessModes, storageClassName: '', hostPath: { path: this.data, type: 'Directory' } },
      },
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'riskmodel-data', namespace: 'risk' },
        spec: { accessModes, storageClassName: '', volumeName: 'riskmodel-data', resources: { requests: capacity } },
      },
    );
  }

  /** Installs the chart, and waits until the operator's own pods run. */
  async install(): Promise<void> {
    const values = {
      image: { ...image, pullPolicy: 'Never' },
      redis: { url: this.#redis.url },
      models: { drainSeconds: 3 },
      operator: { resources: { requests: { cpu: '50m', memory: '128Mi' } } },
    };
    await this.helm.run(
      [
        'install',
        'riskmodel',
        join(repository, 'charts/risk-model'),
        '--namespace=riskmodel-system',
        '--create-namespace',
        '--wait',
        '--timeout=120s',
        '--values=-',
      ],
      { input: JSON.stringify(values), timeoutMs: 180_000 },
    );
  }

  kubectl(args: string[], input?: string): Promise<string> {
    return this.cluster.plane.kubectl.run(args, input === undefined ? {} : { input });
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
      metadata: { name: 'credit-default', namespace: 'risk' },
      spec: {
        ...model.spec,
        online: { replicas: { min: 2, max: 3 }, ...small },
        batch: { workers: { min: 1, max: 1 }, ...small },
        ...spec,
      },
    });
  }

  async get(kind: string, name: string): Promise<KubeObject> {
    return this.cluster.plane.kubectl.json<KubeObject>(['-n', 'risk', 'get', kind, name]);
  }

  /** The address of a Service within the cluster, which this process reaches too. */
  async serviceUrl(name: string): Promise<string> {
    const { spec } = (await this.get('services', name)) as KubeObject & { spec: { clusterIP: string } };
    return `http://${spec.clusterIP}`;
  }

  async stop(): Promise<void> {
    await this.cluster.stop();
    await this.#redis.kill();
  }
}
