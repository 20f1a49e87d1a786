import { KubeError } from '../../kube/kube-error.ts';
import type { KubeObject, ObjectRef } from '../../kube/object.ts';
import type { ResourceType } from '../../kube/resource-type.ts';

/** The part of the API server that certificates are kept in: a Secret and a webhook configuration, or neither. */
export class WebhookApi {
  secret: KubeObject | undefined;
  configuration: KubeObject | undefined;
  /** What was written, in order. */
  readonly writes: string[] = [];
  /** Thrown by every request while it is set. */
  failure: Error | undefined;
  #version = 1;

  constructor() {
    this.secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'certificate', namespace: 'risk-system', resourceVersion: '1' },
    };
    this.configuration = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'webhook', uid: 'u-1' },
      webhooks: [
        { name: 'riskmodels.riskmodel.io', clientConfig: { service: { name: 's' } } },
        { name: 'batchpredictions.riskmodel.io', clientConfig: { service: { name: 's' } } },
      ],
    };
  }

  async get(type: ResourceType, _ref: ObjectRef): Promise<KubeObject | undefined> {
    if (this.failure) throw this.failure;
    return structuredClone(type.kind === 'Secret' ? this.secret : this.configuration);
  }

  async update(object: KubeObject): Promise<KubeObject> {
    if (object.metadata.resourceVersion !== String(this.#version)) throw new KubeError(409, 'Conflict', 'too late');
    this.writes.push('Secret');
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    this.secret = { ...structuredClone(object), metadata };
    return structuredClone(this.secret);
  }

  /** Server-side apply of the webhooks' caBundle. */
  async apply(object: KubeObject): Promise<KubeObject> {
    if (this.failure) throw this.failure;
    this.writes.push('ValidatingWebhookConfiguration');
    const applied = object['webhooks'] as Webhook[];
    for (const webhook of (this.configuration?.['webhooks'] ?? []) as Webhook[]) {
      const { clientConfig } = applied.find(({ name }) => name === webhook.name) ?? {};
      Object.assign(webhook.clientConfig, clientConfig);
    }
    return object;
  }

  /** Takes the bundle out of the first webhook, as somebody might who edits it. */
  dropBundle(): void {
    const [webhook] = (this.configuration?.['webhooks'] ?? []) as Webhook[];
    delete webhook?.clientConfig.caBundle;
  }

  /** What each webhook has for a bundle, PEM. */
  get bundles(): (string | undefined)[] {
    return ((this.configuration?.['webhooks'] ?? []) as Webhook[]).map(({ clientConfig: { caBundle } }) =>
      caBundle === undefined ? undefined : Buffer.from(caBundle, 'base64').toString(),
    );
  }
}

interface Webhook {
  name: string;
  clientConfig: { caBundle?: string };
}
