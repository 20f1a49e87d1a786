import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseAllDocuments } from 'yaml';
import { repository } from '../harness/local-system.ts';

export const chartFolder = join(repository, 'charts/risk-model');
export const release = 'rm';
export const releaseNamespace = 'risk-system';

/** Values as they would stand in a file, only those that differ from the chart's own. */
export type Values = Record<string, unknown>;

/** The parts of rendered objects that tests look at. */
export interface RenderedObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec?: Record<string, unknown> & { template?: { metadata: { labels: Record<string, string> }; spec: PodSpec } };
  rules?: PolicyRule[];
  webhooks?: Record<string, unknown>[];
  roleRef?: { kind: string; name: string };
  subjects?: { kind: string; name: string; namespace: string }[];
  data?: Record<string, string>;
  stringData?: Record<string, string>;
}

export interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

export interface PodSpec {
  automountServiceAccountToken?: boolean;
  securityContext: object;
  containers: Container[];
}

export interface Container {
  name: string;
  image: string;
  args?: string[];
  env?: EnvVar[];
  resources: { requests?: Record<string, string>; limits?: Record<string, string> };
  securityContext: object;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: object;
}

/** Helm, and the chart of this repository. */
export class HelmChart {
  readonly #helm: string;

  /** @param helm the program's path */
  constructor(helm: string) {
    this.#helm = helm;
  }

  /** The manifests as they would be sent to a cluster, with the hooks. @throws Error with what Helm says */
  renderText(values: Values = {}): Promise<string> {
    return this.#run(['template', release, chartFolder, '--namespace', releaseNamespace, '--values', '-'], values);
  }

  async render(values: Values = {}): Promise<RenderedObject[]> {
    return parseAllDocuments(await this.renderText(values))
      .map((document) => document.toJS() as RenderedObject | null)
      .filter((object) => object !== null);
  }

  /** What `helm install` prints after all. */
  notes(values: Values = {}): Promise<string> {
    const args = ['install', release, chartFolder, '--namespace', releaseNamespace];
    return this.#run([...args, '--dry-run=client', '--hide-secret', '--values', '-'], values);
  }

  lint(values: Values = {}): Promise<string> {
    return this.#run(['lint', '--strict', chartFolder, '--namespace', releaseNamespace, '--values', '-'], values);
  }

  async #run(args: string[], values: Values): Promise<string> {
    const child = spawn(this.#helm, args, {
      // No cluster, and no configuration of the machine's.
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', KUBECONFIG: '/dev/null' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(values));
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    if (code !== 0) throw new Error(`${stdout}${stderr}`.trim());
    return stdout;
  }
}

export function find(objects: readonly RenderedObject[], kind: string, name: string): RenderedObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name} among ${objects.map(idOf).join(', ')}`);
  return found;
}

export function idOf({ kind, metadata }: RenderedObject): string {
  return [kind, metadata.namespace, metadata.name].filter((part) => part !== undefined).join('/');
}

/** The pod that an object makes, or is. */
export function podOf({ kind, spec }: RenderedObject): PodSpec | undefined {
  return kind === 'Pod' ? (spec as unknown as PodSpec) : spec?.template?.spec;
}

/** The environment of the operator's container, by name. */
export function operatorEnv(objects: readonly RenderedObject[]): Record<string, EnvVar> {
  const pod = podOf(find(objects, 'Deployment', `${release}-risk-model-operator`));
  return Object.fromEntries((pod?.containers[0]?.env ?? []).map((variable) => [variable.name, variable]));
}
