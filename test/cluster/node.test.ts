import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startCluster, type Cluster } from '../harness/cluster/cluster.ts';
import { buildImage } from '../harness/cluster/images.ts';
import { whyNoNode } from '../harness/cluster/node-requirements.ts';
import { removeAbandonedRuns } from '../harness/cluster/run-folder.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';

jest.setTimeout(180_000);

/** The first run builds Kubernetes and a base image. */
const buildTimeoutMs = 90 * 60_000;

const obstacle = await whyNoNode();
if (obstacle !== undefined) process.stderr.write(`  left out, a node with real containers: ${obstacle}\n`);
const onThisMachine = obstacle === undefined ? describe : describe.skip;

const log = (line: string): void => void process.stderr.write(`  ${line}\n`);

const image = 'localhost/hello:test';
const dockerfile = `
ARG BASE_IMAGE=node:24-bookworm-slim
FROM $BASE_IMAGE
COPY server.js /srv/server.js
USER 65534
CMD ["node", "/srv/server.js"]
`;
const server = `
require('node:http').createServer((request, response) => response.end('hello from ' + require('node:os').hostname()))
  .listen(8080, () => console.log('listening'));
process.on('SIGTERM', () => process.exit(0));
`;

const labels = { app: 'hello' };
const objects = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'smoke' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'hello', namespace: 'smoke' },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'hello', namespace: 'smoke' },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [
            {
              name: 'hello',
              image,
              imagePullPolicy: 'Never',
              ports: [{ containerPort: 8080 }],
              readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
              resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '128Mi' } },
              securityContext: {
                readOnlyRootFilesystem: true,
                allowPrivilegeEscalation: false,
                capabilities: { drop: ['ALL'] },
              },
            },
          ],
        },
      },
    },
  },
];

onThisMachine('a node that runs containers', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    const context = await mkdtemp(join(tmpdir(), 'riskmodel-hello-'));
    try {
      await writeFile(join(context, 'Dockerfile'), dockerfile);
      await writeFile(join(context, 'server.js'), server);
      const archive = join(context, 'image.tar');
      await buildImage({ dockerfile: join(context, 'Dockerfile'), context, name: image, log }, archive);
      cluster = await startCluster({ log });
      printFigure(`a cluster from nothing to a node that is ready in ${(cluster.startMs / 1_000).toFixed(1)} s`);
      const startedAt = performance.now();
      await cluster.loadImage(archive);
      printFigure(`an image of Debian and Node loaded in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    } finally {
      await rm(context, { recursive: true, force: true });
    }
  }, buildTimeoutMs);

  afterAll(async () => {
    await cluster?.stop();
  });

  const kubectl = (args: string[], input?: string): Promise<string> =>
    cluster.plane.kubectl.run(args, input === undefined ? {} : { input });

  test('runs pods without rights, which answer to the test at their own addresses', async () => {
    const startedAt = performance.now();
    await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    await kubectl(['-n', 'smoke', 'rollout', 'status', 'deployment/hello', '--timeout=60s']);
    printFigure(`two pods ready ${((performance.now() - startedAt) / 1_000).toFixed(1)} s after kubectl apply`);
    const { items } = await cluster.plane.kubectl.json<{ items: Pod[] }>(['-n', 'smoke', 'get', 'pods']);
    for (const { metadata, status } of items) {
      const answer = await fetch(`http://${status.podIP}:8080/`);
      expect(await answer.text()).toBe(`hello from ${metadata.name}`);
    }
  });

  test('leads the address and the name of a Service to its pods, from the test and from pods', async () => {
    const service = await cluster.plane.kubectl.json<Service>(['-n', 'smoke', 'get', 'service', 'hello']);
    const { clusterIP } = service.spec;
    await eventually(async () => expect(await textOf(`http://${clusterIP}/`)).toContain('hello from hello-'));
    expect(await cluster.resolver.resolve4('hello.smoke.svc.cluster.local')).toEqual([clusterIP]);
    await expect(cluster.resolver.resolve4('absent.smoke.svc.cluster.local')).rejects.toThrow('ENOTFOUND');
    for (const name of ['hello', 'hello.smoke', 'hello.smoke.svc.cluster.local']) {
      expect(await runInPod(`fetch('http://${name}/').then(a => a.text()).then(console.log)`)).toContain('hello from');
    }
  });

  test('lets pods reach the API server, and this machine, by the address it has in the cluster', async () => {
    const api = `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; fetch('https://kubernetes.default.svc/healthz')`;
    expect(await runInPod(`${api}.then(a => a.text()).then(console.log)`)).toContain('ok');
    expect(cluster.plane.url).toContain(cluster.network.hostAddress);
  });

  test('has logs, port forwarding by the API server, and the reasons of containers that ended', async () => {
    expect(await kubectl(['-n', 'smoke', 'logs', 'deployment/hello'])).toContain('listening');
    const proxied = await kubectl(['get', '--raw', '/api/v1/namespaces/smoke/services/hello:80/proxy/']);
    expect(proxied).toContain('hello from hello-');
    const greedy = `const kept = []; for (;;) kept.push(Buffer.alloc(10 << 20, 1))`;
    const overrides = {
      spec: {
        containers: [
          {
            name: 'greedy',
            image,
            imagePullPolicy: 'Never',
            command: ['node', '-e', greedy],
            resources: { limits: { memory: '64Mi' } },
          },
        ],
      },
    };
    const run = ['-n', 'smoke', 'run', 'greedy', `--image=${image}`, '--restart=Never'];
    await kubectl([...run, `--overrides=${JSON.stringify(overrides)}`]);
    await eventually(async () => {
      const { status } = await cluster.plane.kubectl.json<Pod>(['-n', 'smoke', 'get', 'pod', 'greedy']);
      expect(status.containerStatuses?.[0]?.state.terminated?.reason).toBe('OOMKilled');
    }, 60_000);
  });

  test('leaves nothing behind', async () => {
    const interfaces = clusterInterfaces();
    expect(interfaces).not.toEqual([]);
    const folders = [cluster.folder, cluster.plane.folder];
    const startedAt = performance.now();
    await cluster.stop();
    printFigure(`the cluster is gone in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    // The shells that wait for the node's programs end after these.
    await eventually(async () => expect(await findTraces(folders)).toEqual([]));
    expect(clusterInterfaces().filter((name) => interfaces.includes(name))).toEqual([]);
  });

  async function runInPod(script: string): Promise<string> {
    return kubectl(['-n', 'smoke', 'exec', 'deployment/hello', '--', 'node', '-e', script]);
  }
});

onThisMachine('a cluster whose test was killed', () => {
  test('ends with it, and the next run removes its files', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'abandoned-cluster.ts')], {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let folders: string[];
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      folders = JSON.parse(String(line)) as string[];
      expect(await findTraces(folders)).not.toEqual([]);
    } finally {
      child.kill('SIGKILL');
    }
    await eventually(async () => {
      await removeAbandonedRuns();
      expect(await findTraces(folders)).toEqual([]);
    }, 60_000);
  });
});

interface Pod {
  metadata: { name: string };
  status: { podIP: string; containerStatuses?: { state: { terminated?: { reason: string } } }[] };
}

interface Service {
  spec: { clusterIP: string };
}

async function textOf(url: string): Promise<string> {
  return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).text();
}

/** The ends of cables to nodes, of every cluster on this machine. */
function clusterInterfaces(): string[] {
  return Object.keys(networkInterfaces()).filter((name) => name.startsWith('rmtest'));
}

/** What is left of a cluster with these folders: the folders, processes that name them, control groups. */
async function findTraces(folders: string[]): Promise<string[]> {
  const traces = folders.filter((folder) => existsSync(folder));
  for (const id of await readdir('/proc')) {
    const command = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    if (folders.some((folder) => command.includes(folder))) traces.push(command.replaceAll('\0', ' '));
  }
  const groups = await readdir('/sys/fs/cgroup');
  for (const group of ['', ...groups]) {
    for (const folder of folders) {
      const path = join('/sys/fs/cgroup', group, basename(folder));
      if (existsSync(path)) traces.push(path);
    }
  }
  return traces;
}
