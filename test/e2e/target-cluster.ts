import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBinaries } from '../harness/cluster/binaries.ts';
import type { AuditPolicy } from '../harness/cluster/audit-log.ts';
import { startCluster, type Cluster } from '../harness/cluster/cluster.ts';
import { makeHelm } from '../harness/cluster/helm.ts';
import { buildImage } from '../harness/cluster/images.ts';
import { ClusterCommand } from '../harness/cluster/kubectl.ts';
import { whyNoNode } from '../harness/cluster/node-requirements.ts';
import { repository } from '../harness/local-system.ts';
import { RedisProcess } from '../harness/redis-process.ts';

const log = (line: string): void => void process.stderr.write(`  ${line}\n`);
const tell = (error: Error): void => log(error.message);

export const systemNamespace = 'riskmodel-system';
export const modelNamespace = 'risk';
export const claimName = 'riskmodel-data';

/** The cluster that the chart is installed on, and what it needs to be told there. */
export interface TargetCluster {
  kubectl: ClusterCommand;
  helm: ClusterCommand;
  image: { repository: string; tag: string; pullPolicy: 'Never' | 'IfNotPresent' };
  /** A Redis that pods reach; the chart's own one when absent. */
  redisUrl?: string | undefined;
  /** Of a volume that every pod can mount; the volume is there already when it is empty. */
  storageClassName: string;
  /** This machine's own cluster, whose node and control plane a test may break. */
  own?: Cluster;
  stop(): Promise<void>;
}

/** A cluster that somebody gives, as the environment tells it. */
const given = {
  kubeconfig: process.env['E2E_KUBECONFIG'],
  image: process.env['E2E_IMAGE'],
  storageClassName: process.env['E2E_STORAGE_CLASS'],
  redisUrl: process.env['E2E_REDIS_URL'],
};

/** Whether the tests run on a cluster of this machine's own, which they may break. */
export const isOwnCluster = given.kubeconfig === undefined;

/** Why the chart can't be tried on a cluster, in one line; undefined when it can. */
export async function whyNoCluster(): Promise<string | undefined> {
  if (isOwnCluster) {
    const obstacle = await whyNoNode();
    return obstacle && `${obstacle}; E2E_KUBECONFIG can name another cluster to run them on`;
  }
  if (!given.image?.includes(':')) {
    return 'E2E_KUBECONFIG is set, so E2E_IMAGE must name the image that its nodes can pull, as REPOSITORY:TAG';
  }
  if (!given.storageClassName) {
    return 'E2E_KUBECONFIG is set, so E2E_STORAGE_CLASS must name a storage class whose volumes all pods can mount (ReadWriteMany)';
  }
  return undefined;
}

export function connectCluster(): Promise<TargetCluster> {
  return isOwnCluster ? startOwnCluster() : connectGivenCluster();
}

/** Writes of the operator, with their contents: what two leaders would both do can be seen there. */
const operatorWrites: AuditPolicy = {
  rules: [
    {
      level: 'Request',
      userGroups: [`system:serviceaccounts:${systemNamespace}`],
      verbs: ['create', 'update', 'patch', 'delete'],
    },
    { level: 'None' },
  ],
  omitStages: ['RequestReceived'],
};

async function startOwnCluster(): Promise<TargetCluster> {
  const own = await startCluster({ log, audit: operatorWrites });
  const image = { repository: 'localhost/riskmodel', tag: 'test', pullPolicy: 'Never' } as const;
  const archive = join(own.folder, 'riskmodel.tar');
  const name = `${image.repository}:${image.tag}`;
  await buildImage({ dockerfile: join(repository, 'Dockerfile'), context: repository, name, log }, archive);
  await own.loadImage(archive);
  await rm(archive);
  const redisFolder = join(own.folder, 'redis');
  await mkdir(redisFolder);
  const redis = await RedisProcess.start(redisFolder, own.network.hostAddress);
  const { kubectl } = own.plane;
  await makeVolume(kubectl, join(own.folder, 'data'));
  return {
    kubectl,
    helm: await makeHelm(own.plane, log),
    image,
    redisUrl: redis.url,
    storageClassName: '',
    own,
    stop: async () => {
      await own.stop();
      await redis.kill();
    },
  };
}

/** The node is this machine, so that a folder of it can be mounted by every pod. */
async function makeVolume(kubectl: ClusterCommand, folder: string): Promise<void> {
  await mkdir(folder);
  // Pods run as a user of their own.
  await chmod(folder, 0o777);
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: claimName },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteMany'],
      storageClassName: '',
      claimRef: { namespace: modelNamespace, name: claimName },
      hostPath: { path: folder, type: 'Directory' },
    },
  };
  await kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(volume) });
}

/** @throws Error when somebody uses the cluster for models already */
async function connectGivenCluster(): Promise<TargetCluster> {
  const { kubeconfig = '', image = '', storageClassName = '', redisUrl } = given;
  const { kubectl: program } = await ensureBinaries(['kubectl'], log);
  const kubectl = new ClusterCommand(program, kubeconfig);
  const inTheWay = await kubectl.run(['get', 'crd,ns', '--output=name']);
  const taken = inTheWay.split('\n').find((line) => {
    const [, name = ''] = line.split('/');
    return name.endsWith('.riskmodel.io') || name === systemNamespace || name === modelNamespace;
  });
  if (taken !== undefined) {
    throw new Error(
      `the cluster of E2E_KUBECONFIG has ${taken} already: these tests make it, and remove it at their end`,
    );
  }
  const folder = await mkdtemp(join(tmpdir(), 'riskmodel-e2e-'));
  const helm = await makeHelm({ kubeconfig, folder }, log);
  const colon = image.lastIndexOf(':');
  return {
    kubectl,
    helm,
    image: { repository: image.slice(0, colon), tag: image.slice(colon + 1), pullPolicy: 'IfNotPresent' },
    redisUrl,
    storageClassName,
    stop: async () => {
      const remove = (args: string[]): Promise<unknown> =>
        kubectl.run(['delete', '--ignore-not-found', ...args], { timeoutMs: 180_000 }).catch(tell);
      // The models first, while there is an operator that lets them go; a first test that failed has left less.
      await remove(['batchpredictions,riskmodels', '--all', '-n', modelNamespace]);
      await helm.run(['uninstall', 'riskmodel', `--namespace=${systemNamespace}`, '--wait']).catch(tell);
      await remove(['namespace', modelNamespace, systemNamespace]);
      await remove(['crd', 'riskmodels.riskmodel.io', 'batchpredictions.riskmodel.io']);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
