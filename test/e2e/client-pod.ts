import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ClusterCommand } from '../harness/cluster/kubectl.ts';

const programs = join(import.meta.dirname, 'client');
const name = 'client';
/** Where the volume of buckets and warehouse is mounted. */
const data = '/data';
const loadFiles = { pid: '/tmp/load.pid', result: '/tmp/load.json', log: '/tmp/load.log' };

export interface Answer {
  status: number;
  body: string;
}

export interface LoadResult {
  asked: number;
  answered: number;
  /** How many requests failed in which way. */
  failures: Record<string, number>;
  seconds: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
}

export interface Load {
  /** Stops asking, and returns what became of all requests. */
  stop(): Promise<LoadResult>;
}

/**
 * A pod beside the models' ones that asks them as other services of the cluster do, and through which files come into
 * the volume and out of it. Whether this process could reach any of that itself does not matter.
 */
export class ClientPod {
  readonly #kubectl: ClusterCommand;
  readonly #namespace: string;

  private constructor(kubectl: ClusterCommand, namespace: string) {
    this.#kubectl = kubectl;
    this.#namespace = namespace;
  }

  static async start(
    kubectl: ClusterCommand,
    { namespace, image, imagePullPolicy, claimName }: Record<string, string> & { namespace: string },
  ): Promise<ClientPod> {
    const user = { runAsNonRoot: true, runAsUser: 65_532, runAsGroup: 65_532, fsGroup: 65_532 };
    const sources = { 'load.mts': await source('load.ts'), 'ask.mts': await source('ask.ts') };
    const objects = [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: sources },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace },
        spec: {
          securityContext: { ...user, seccompProfile: { type: 'RuntimeDefault' } },
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name,
              image,
              imagePullPolicy,
              args: ['--eval', 'setInterval(() => {}, 60_000)'],
              resources: { requests: { cpu: '50m', memory: '128Mi' } },
              volumeMounts: [
                { name: 'programs', mountPath: '/client', readOnly: true },
                { name: 'data', mountPath: data },
              ],
            },
          ],
          volumes: [
            { name: 'programs', configMap: { name } },
            { name: 'data', persistentVolumeClaim: { claimName } },
          ],
        },
      },
    ];
    await kubectl.run(['apply', '-f', '-'], { input: objects.map((object) => JSON.stringify(object)).join('\n---\n') });
    // On a cluster that is not this machine's own, the image may have to be pulled first.
    await kubectl.run(['-n', namespace, 'wait', `pod/${name}`, '--for=condition=Ready', '--timeout=300s'], {
      timeoutMs: 310_000,
    });
    return new ClientPod(kubectl, namespace);
  }

  #exec(args: string[], input = ''): Promise<string> {
    // A load's last answers may take a minute.
    const options = { input, timeoutMs: 90_000 };
    return this.#kubectl.run(['-n', this.#namespace, 'exec', '-i', name, '--', ...args], options);
  }

  async ask(method: 'GET' | 'POST', url: string, body?: unknown): Promise<Answer> {
    const input = body === undefined ? '' : JSON.stringify(body);
    return JSON.parse(await this.#exec(['node', '/client/ask.mts', method, url], input)) as Answer;
  }

  /** Asks at a fixed rate, half of the requests over connections of their own, until it is stopped. */
  async startLoad(url: string, { ratePerSecond, body }: { ratePerSecond: number; body: unknown }): Promise<Load> {
    const { pid, result, log } = loadFiles;
    const load = `node /client/load.mts "$1" "$2" ${result} < /tmp/body > ${log} 2>&1`;
    const script = `rm -f ${result} && cat > /tmp/body && { ${load} & echo $! > ${pid}; }`;
    await this.#exec(['sh', '-c', script, 'sh', url, String(ratePerSecond)], JSON.stringify(body));
    return { stop: () => this.#stopLoad() };
  }

  async #stopLoad(): Promise<LoadResult> {
    const { pid, result, log } = loadFiles;
    const wait = `for i in $(seq 700); do [ -e ${result} ] && exec cat ${result}; sleep 0.1; done; cat ${log}; exit 1`;
    return JSON.parse(await this.#exec(['sh', '-c', `kill -TERM $(cat ${pid}); ${wait}`])) as LoadResult;
  }

  /** Puts an object into a bucket: the content of a file. */
  async put(uri: string, file: string): Promise<void> {
    const path = `${data}/buckets/${uri.replace('gs://', '')}`;
    const script = 'mkdir -p "$(dirname "$1")" && base64 -d > "$1"';
    await this.#exec(['sh', '-c', script, 'sh', path], (await readFile(file)).toString('base64'));
  }

  /** Copies a table's files into a folder of this machine. Returns how many there are. */
  async copyTable(table: string, folder: string): Promise<number> {
    const source = `${data}/warehouse/riskmodel/${table}`;
    const listed = await this.#exec(['sh', '-c', 'find "$1" -maxdepth 1 -name "*.parquet" || true', 'sh', source]);
    const files = listed.split('\n').filter((line) => line !== '');
    for (const file of files) {
      const target = join(folder, table, basename(file));
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, Buffer.from(await this.#exec(['base64', file]), 'base64'));
    }
    return files.length;
  }
}

function source(file: string): Promise<string> {
  return readFile(join(programs, file), 'utf8');
}
