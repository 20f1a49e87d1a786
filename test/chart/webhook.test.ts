import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { ensureBinaries } from '../harness/cluster/binaries.ts';
import {
  find,
  HelmChart,
  operatorEnv,
  podOf,
  releaseNamespace,
  type RenderedObject,
  type Values,
} from './helm-chart.ts';

jest.setTimeout(60_000);

/** The first run builds Helm. */
const buildTimeoutMs = 30 * 60_000;

let chart: HelmChart;

beforeAll(async () => {
  const { helm } = await ensureBinaries(['helm'], (line) => process.stderr.write(`  ${line}\n`));
  chart = new HelmChart(helm);
}, buildTimeoutMs);

const name = 'rm-risk-model-webhook';
const operator = 'rm-risk-model-operator';

function webhookOf(objects: RenderedObject[]): Record<string, unknown> {
  const [webhook] = find(objects, 'ValidatingWebhookConfiguration', name).webhooks ?? [];
  return webhook ?? {};
}

function ofWebhook(objects: RenderedObject[]): string[] {
  return objects
    .filter(({ metadata }) => metadata.name.includes('webhook'))
    .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    .sort();
}

describe('the webhook', () => {
  let objects: RenderedObject[];

  beforeAll(async () => {
    objects = await chart.render();
  });

  test('is made of these', () => {
    expect(ofWebhook(objects)).toEqual([
      `ClusterRole ${operator}-webhook`,
      `ClusterRoleBinding ${operator}-webhook`,
      `Role ${operator}-webhook`,
      `RoleBinding ${operator}-webhook`,
      `Secret ${name}-certificate`,
      `Service ${name}`,
      `ValidatingWebhookConfiguration ${name}`,
    ]);
  });

  test('is asked of models and batches that are created or changed, and holds up nothing else', () => {
    expect(webhookOf(objects)).toMatchObject({
      rules: [
        {
          apiGroups: ['riskmodel.io'],
          resources: ['riskmodels', 'batchpredictions'],
          operations: ['CREATE', 'UPDATE'],
          scope: 'Namespaced',
        },
      ],
      failurePolicy: 'Ignore',
      timeoutSeconds: 3,
      sideEffects: 'None',
      matchPolicy: 'Equivalent',
    });
  });

  test('leaves to the operator what the operator writes', () => {
    expect(webhookOf(objects)['clientConfig']).not.toHaveProperty('caBundle');
    const secret = find(objects, 'Secret', `${name}-certificate`);
    expect([secret.data, secret.stringData]).toEqual([undefined, undefined]);
  });

  test('is found at the pods, which are told of it, and the network lets it be', () => {
    const [container] = podOf(find(objects, 'Deployment', operator))?.containers ?? [];
    const service = find(objects, 'Service', name);
    expect(webhookOf(objects)['clientConfig']).toEqual({
      service: { name, namespace: releaseNamespace, path: '/validate', port: 443 },
    });
    expect(service.spec?.['ports']).toMatchObject([{ port: 443, targetPort: 'webhook' }]);
    expect(container).toMatchObject({ ports: [{ name: 'http' }, { name: 'webhook', containerPort: 9443 }] });
    expect(JSON.stringify(find(objects, 'NetworkPolicy', operator).spec?.['ingress'])).toContain('9443');
  });

  test('gives the operator no right but to its own two objects', () => {
    expect(find(objects, 'Role', `${operator}-webhook`).rules).toEqual([
      { apiGroups: [''], resources: ['secrets'], resourceNames: [`${name}-certificate`], verbs: ['get', 'update'] },
    ]);
    expect(find(objects, 'ClusterRole', `${operator}-webhook`).rules).toEqual([
      {
        apiGroups: ['admissionregistration.k8s.io'],
        resources: ['validatingwebhookconfigurations'],
        resourceNames: [name],
        verbs: ['get', 'patch'],
      },
    ]);
  });
});

describe('there is no webhook', () => {
  test.each<[why: string, Values]>([
    ['when it is off', { webhook: { enabled: false } }],
    ['in one namespace', { scope: 'Namespaced' }],
  ])('%s', async (_why, values) => {
    const objects = await chart.render(values);
    expect(ofWebhook(objects)).toEqual([]);
    expect(Object.keys(operatorEnv(objects)).filter((key) => key.includes('WEBHOOK'))).toEqual([]);
    expect(JSON.stringify(find(objects, 'NetworkPolicy', operator))).not.toContain('9443');
  });
});

describe('with cert-manager', () => {
  const certManager = { enabled: true };

  test('the operator reads mounted files and needs no rights', async () => {
    const objects = await chart.render({ webhook: { certManager } });
    expect(ofWebhook(objects)).toEqual([
      `Certificate ${name}`,
      `Certificate ${name}-authority`,
      `Issuer ${name}`,
      `Issuer ${name}-self-signed`,
      `Service ${name}`,
      `ValidatingWebhookConfiguration ${name}`,
    ]);
    expect(find(objects, 'ValidatingWebhookConfiguration', name).metadata.annotations).toEqual({
      'cert-manager.io/inject-ca-from': `${releaseNamespace}/${name}`,
    });
    expect(find(objects, 'Certificate', name).spec).toMatchObject({
      secretName: `${name}-certificate`,
      dnsNames: [`${name}.${releaseNamespace}.svc`],
      issuerRef: { kind: 'Issuer', name },
    });
    const [container] = podOf(find(objects, 'Deployment', operator))?.containers ?? [];
    const folder = '/etc/riskmodel/webhook';
    expect(container?.volumeMounts).toContainEqual({ name: 'webhook-certificate', mountPath: folder, readOnly: true });
    expect(operatorEnv(objects)['RISKMODEL_WEBHOOK_CERTIFICATE_FOLDER']?.value).toBe(folder);
  });

  test('an issuer that is named signs', async () => {
    const objects = await chart.render({ webhook: { certManager: { ...certManager, issuerRef: { name: 'ours' } } } });
    expect(ofWebhook(objects).filter((object) => object.startsWith('Issuer'))).toEqual([]);
    expect(find(objects, 'Certificate', name).spec).toMatchObject({
      issuerRef: { kind: 'ClusterIssuer', name: 'ours' },
    });
  });
});

test.each<[Values, RegExp]>([
  [{ webhook: { failurePolicy: 'ignore' } }, /at '\/webhook\/failurePolicy': value must be one of 'Ignore', 'Fail'/],
  [{ webhook: { timeoutSeconds: 31 } }, /at '\/webhook\/timeoutSeconds': maximum: got 31, want 30/],
  [{ webhook: { port: 443 } }, /at '\/webhook\/port': minimum: got 443, want 1,?024/],
  [{ webhook: { port: 8081 } }, /at '\/webhook\/port': 'not' failed/],
])('%j is refused', async (values, message) => {
  await expect(chart.renderText(values)).rejects.toThrow(message);
});
