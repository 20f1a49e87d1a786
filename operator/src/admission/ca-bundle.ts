import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import type { ResourceType } from '../kube/resource-type.ts';

export const webhookConfigurationType: ResourceType = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  plural: 'validatingwebhookconfigurations',
  namespaced: false,
};

/** Owns the one field that is written here; the chart owns the others. */
const fieldManager = 'riskmodel-operator-webhook';

interface Webhook {
  name: string;
  clientConfig: { caBundle?: string };
}

/**
 * Tells the API servers whom to trust: makes the bundle that of every webhook of the configuration, if it isn't yet.
 * @param bundle PEM.
 * @returns whether anything was written.
 */
export async function applyCaBundle(
  client: Pick<KubeClient, 'get' | 'apply'>,
  name: string,
  bundle: string,
): Promise<boolean> {
  const found = await client.get(webhookConfigurationType, { name });
  if (found === undefined) {
    throw new RiskModelError(
      'WebhookConfigurationMissing',
      `there is no ValidatingWebhookConfiguration ${name}: the chart makes it`,
      { retry: 'later' },
    );
  }
  const caBundle = Buffer.from(bundle).toString('base64');
  const webhooks = (found['webhooks'] ?? []) as Webhook[];
  if (webhooks.every(({ clientConfig }) => clientConfig.caBundle === caBundle)) return false;
  const { apiVersion, kind } = webhookConfigurationType;
  await client.apply(
    {
      apiVersion,
      kind,
      // With its uid, so that one that is gone by now is not made anew.
      metadata: { name, ...(found.metadata.uid === undefined ? {} : { uid: found.metadata.uid }) },
      webhooks: webhooks.map((webhook) => ({ name: webhook.name, clientConfig: { caBundle } })),
    },
    { fieldManager, force: true },
  );
  return true;
}
