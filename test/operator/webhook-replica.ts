import { Registry } from 'prom-client';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import { AdmissionWebhook, type AdmissionWebhookDeps } from '@riskmodel/operator/admission/admission-webhook.ts';
import { KubeClient } from '@riskmodel/operator/kube/client.ts';
import { loadConnection } from '@riskmodel/operator/kube/load-connection.ts';
import { releaseNamespace, type RenderedObject } from '../chart/helm-chart.ts';
import { startControlPlane, type ControlPlane } from '../harness/cluster/control-plane.ts';
import { makeHelm } from '../harness/cluster/helm.ts';
import type { ClusterCommand } from '../harness/cluster/kubectl.ts';
import { eventually } from '../harness/eventually.ts';
import { grantRights, renderChart } from './operator-rights.ts';

export const webhookName = 'rm-risk-model-webhook';
/** More than the chart's, as an answer that comes late on a busy machine would count as none. */
const patience = { timeoutSeconds: 20 };

/** A control plane, and what the chart would put into it. */
interface Rendered {
  plane: ControlPlane;
  objects: readonly RenderedObject[];
}

export interface Cluster extends Rendered {
  helm: ClusterCommand;
}

/** One replica of the webhook within this process, with the rights that the chart gives the operator and no others. */
export class WebhookReplica {
  readonly webhook: AdmissionWebhook;
  readonly #client: KubeClient;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  private constructor(client: KubeClient, times: Partial<AdmissionWebhookDeps>, name: string, namespace: string) {
    this.#client = client;
    const secret = { namespace, name: `${name}-certificate` };
    this.webhook = new AdmissionWebhook(
      { port: 0, certificate: { host: 'localhost', secret, configuration: name } },
      { client, registry: new Registry(), logger: makeLogger('operator', 'error'), pollMs: 200, drainMs: 0, ...times },
    );
    this.#ended = this.webhook.run(this.#stop.signal);
  }

  /** @param release another release of the chart, and its namespace */
  static async start(
    plane: ControlPlane,
    times: Partial<AdmissionWebhookDeps> = {},
    release = { name: 'rm', namespace: releaseNamespace },
  ): Promise<WebhookReplica> {
    const { name, namespace } = release;
    const serviceAccount = `${namespace}/${name}-risk-model-operator`;
    const kubeconfig = await plane.kubeconfigFor({ serviceAccount });
    const client = new KubeClient({ connection: await loadConnection({}, kubeconfig) });
    return new WebhookReplica(client, times, `${name}-risk-model-webhook`, namespace);
  }

  /** Where it answers, once it does. */
  async port(): Promise<number> {
    await eventually(async () => {
      if (this.webhook.port === undefined) throw new Error('the webhook does not listen');
    });
    return this.webhook.port as number;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    await this.#client.close();
  }
}

function log(line: string): void {
  process.stderr.write(`  ${line}\n`);
}

/** A real API server with the chart's CRDs, the operator's rights and the webhook's empty Secret; no webhook yet. */
export async function startPlane(): Promise<Cluster> {
  const plane = await startControlPlane({ log });
  try {
    const objects = await renderChart();
    for (const namespace of [releaseNamespace, 'risk']) await plane.kubectl.run(['create', 'namespace', namespace]);
    const crds = objects.filter(({ kind }) => kind === 'CustomResourceDefinition');
    await apply(plane, crds);
    await grantRights(plane, objects);
    for (const crd of ['riskmodels', 'batchpredictions']) {
      await plane.kubectl.run(['wait', '--for=condition=Established', `crd/${crd}.riskmodel.io`]);
    }
    return { plane, objects, helm: await makeHelm(plane, log) };
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

/** The chart's configuration, but for where the webhook is found: there is no node that a Service could lead to. */
export async function configure(cluster: Rendered, port: number, failurePolicy = 'Ignore'): Promise<void> {
  const clientConfig = { url: `https://localhost:${port}/validate` };
  await applyConfiguration(cluster, (webhook) => ({ ...webhook, ...patience, clientConfig, failurePolicy }));
}

/** The chart's configuration, but for the port, and a Service of its Service's name that leads to this machine. */
export async function configureService(cluster: Rendered, port: number): Promise<void> {
  const metadata = { name: webhookName, namespace: releaseNamespace };
  const spec = { type: 'ExternalName', externalName: 'localhost' };
  await apply(cluster.plane, [{ apiVersion: 'v1', kind: 'Service', metadata, spec }]);
  await applyConfiguration(cluster, (webhook) => {
    const { service } = webhook['clientConfig'] as { service: object };
    return { ...webhook, ...patience, failurePolicy: 'Fail', clientConfig: { service: { ...service, port } } };
  });
}

async function applyConfiguration(
  { plane, objects }: Rendered,
  change: (webhook: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const found = objects.find(({ kind }) => kind === 'ValidatingWebhookConfiguration') as RenderedObject;
  await apply(plane, [{ ...found, webhooks: (found.webhooks ?? []).map(change) }]);
}

async function apply(plane: ControlPlane, objects: object[]): Promise<void> {
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  await plane.kubectl.run(['apply', '--server-side', '-f', '-'], { input });
}
