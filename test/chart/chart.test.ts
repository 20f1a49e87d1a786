import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { makeWebhookMetrics } from '../../operator/src/admission/webhook-metrics.ts';
import { makeRequestMetrics } from '../../operator/src/kube/request-metrics.ts';
import type { ResourceType } from '../../operator/src/kube/resource-type.ts';
import { optionalTypes, ownedTypes, pods, riskModels } from '../../operator/src/riskmodel/resource-types.ts';
import { makeControllerMetrics } from '../../operator/src/runtime/controller-metrics.ts';
import { eventType } from '../../operator/src/runtime/event-recorder.ts';
import { leaseType, makeLeaderMetrics } from '../../operator/src/runtime/leader-election.ts';
import { makeQueueMetrics } from '../../operator/src/runtime/work-queue-metrics.ts';
import { makeWorkerMetrics } from '@riskmodel/queue-worker/telemetry/metrics.ts';
import { makeMetrics } from '../../server/src/telemetry/metrics.ts';
import { ensureBinaries } from '../harness/cluster/binaries.ts';
import { repository } from '../harness/local-system.ts';
import {
  chartFolder,
  find,
  HelmChart,
  idOf,
  operatorEnv,
  podOf,
  releaseNamespace,
  type PolicyRule,
  type RenderedObject,
  type Values,
} from './helm-chart.ts';
import { variants } from './variants.ts';

jest.setTimeout(60_000);

/** The first run builds Helm. */
const buildTimeoutMs = 30 * 60_000;

let chart: HelmChart;

beforeAll(async () => {
  const { helm } = await ensureBinaries(['helm'], (line) => process.stderr.write(`  ${line}\n`));
  chart = new HelmChart(helm);
}, buildTimeoutMs);

const clusterScoped = new Set([
  'CustomResourceDefinition',
  'ClusterRole',
  'ClusterRoleBinding',
  'ValidatingWebhookConfiguration',
  'ClusterRules',
]);

describe.each(variants)('with %s', (_name, values) => {
  let objects: RenderedObject[];

  beforeAll(async () => {
    objects = await chart.render(values);
  });

  test('Helm finds nothing to complain about', async () => {
    expect(await chart.lint(values)).toContain('0 chart(s) failed');
  });

  test('no two objects are the same', () => {
    expect(new Set(objects.map(idOf)).size).toBe(objects.length);
  });

  test('every object says whose it is', () => {
    for (const object of objects) {
      const { labels, namespace } = object.metadata;
      expect(labels).toMatchObject({
        'app.kubernetes.io/name': 'risk-model',
        'app.kubernetes.io/instance': 'rm',
        'app.kubernetes.io/managed-by': 'Helm',
        'helm.sh/chart': expect.stringMatching(/^risk-model-\d/),
      });
      expect([idOf(object), namespace !== undefined]).toEqual([idOf(object), !clusterScoped.has(object.kind)]);
    }
  });

  test('no pod has privileges, and each says what it needs', () => {
    const withPods = objects.flatMap((object) => podOf(object) ?? []);
    expect(withPods.length).toBeGreaterThanOrEqual(2);
    for (const { securityContext, containers } of withPods) {
      expect(securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(Object.keys(container.resources.requests ?? {}).sort()).toEqual(['cpu', 'memory']);
        expect(container.resources.limits).toHaveProperty('memory');
      }
    }
  });

  test('only the operator may talk to the API server', () => {
    const talkers = objects.filter((object) => podOf(object)?.automountServiceAccountToken !== false && podOf(object));
    expect(talkers.map(({ metadata }) => metadata.name)).toEqual(['rm-risk-model-operator']);
  });

  test('no role has a wildcard, the right to Secrets but by name, or the right to give rights', () => {
    for (const { apiGroups, resources, resourceNames, verbs } of objects.flatMap(({ rules }) => rules ?? [])) {
      expect([...apiGroups, ...resources, ...verbs].filter((word) => word.includes('*'))).toEqual([]);
      if (resources.includes('secrets')) expect(resourceNames).toEqual(['rm-risk-model-webhook-certificate']);
      expect(apiGroups).not.toContain('rbac.authorization.k8s.io');
      for (const verb of ['escalate', 'bind', 'impersonate']) expect(verbs).not.toContain(verb);
    }
  });

  test('every rule of a role says why', async () => {
    const lines = (await chart.renderText(values)).split('\n');
    const withoutReason = lines.filter(
      (line, index) => /^\s*- apiGroups:/.test(line) && !/^\s*# ./.test(lines[index - 1] ?? ''),
    );
    expect(withoutReason).toEqual([]);
  });

  test('selectors find the pods they are meant for, and no pod of a model', () => {
    const modelPods = { 'app.kubernetes.io/name': 'riskmodel' };
    for (const { kind, metadata, spec } of objects) {
      const selector = (spec?.['selector'] as { matchLabels?: object } | undefined)?.matchLabels;
      if (kind === 'PodMonitor') expect(selector).toMatchObject(modelPods);
      else if (selector !== undefined) expect(metadata.labels).toMatchObject(selector);
      if (spec?.template && selector) expect(spec.template.metadata.labels).toMatchObject(selector);
    }
  });
});

describe('CRDs', () => {
  const names = ['riskmodels', 'batchpredictions'];

  test.each(names)('%s is the one of crds/, and is kept when the release goes', async (name) => {
    const { metadata, ...rendered } = find(await chart.render(), 'CustomResourceDefinition', `${name}.riskmodel.io`);
    const source = parse(readFileSync(join(repository, 'crds', `${name}.yaml`), 'utf8')) as RenderedObject;
    expect({ ...rendered, metadata: { name: metadata.name } }).toEqual(source);
    expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
  });

  test.each([
    { crds: { install: false }, kept: [] },
    { crds: { keep: false }, kept: [undefined, undefined] },
  ])('with $crds', async ({ crds, kept }) => {
    const found = (await chart.render({ crds })).filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(found.map(({ metadata }) => metadata.annotations)).toEqual(kept);
  });
});

describe('what the operator is told', () => {
  test('by default', async () => {
    expect(await environment({})).toEqual({
      POD_NAME: { fieldRef: { fieldPath: 'metadata.name' } },
      POD_NAMESPACE: { fieldRef: { fieldPath: 'metadata.namespace' } },
      WATCH_NAMESPACE: '',
      RISKMODEL_PORT: '8081',
      RISKMODEL_LOG_LEVEL: 'info',
      RISKMODEL_WEBHOOK_PORT: '9443',
      RISKMODEL_WEBHOOK_SERVICE: 'rm-risk-model-webhook',
      RISKMODEL_WEBHOOK_SECRET: 'rm-risk-model-webhook-certificate',
      RISKMODEL_WEBHOOK_CONFIGURATION: 'rm-risk-model-webhook',
      RISKMODEL_IMAGE: 'riskmodel:0.1.0',
      RISKMODEL_IMAGE_PULL_POLICY: 'IfNotPresent',
      RISKMODEL_MODELS_LOG_LEVEL: 'info',
      REDIS_URL: { secretKeyRef: { name: 'rm-risk-model-redis', key: 'url' } },
      RISKMODEL_REDIS_SECRET_NAME: 'rm-risk-model-redis',
      RISKMODEL_REDIS_SECRET_KEY: 'url',
      RISKMODEL_REDIS_PREFIX: 'riskmodel',
      RISKMODEL_STORAGE_CLAIM: 'riskmodel-data',
      RISKMODEL_DRAIN_SECONDS: '10',
      RISKMODEL_SERVICE_ACCOUNT_ANNOTATIONS: '{}',
    });
  });

  const secret = { secretKeyRef: { name: 'queue', key: 'REDIS' } };
  const cases: [why: string, values: Values, env: Record<string, unknown>][] = [
    [
      'a Redis without a password may stand in every pod',
      { redis: { url: 'redis://r:6379' } },
      { REDIS_URL: 'redis://r:6379', RISKMODEL_REDIS_URL: 'redis://r:6379', RISKMODEL_REDIS_SECRET_NAME: undefined },
    ],
    [
      'a Secret is named, not read',
      { redis: { existingSecret: { name: 'queue', key: 'REDIS' } } },
      { REDIS_URL: secret, RISKMODEL_REDIS_SECRET_NAME: 'queue', RISKMODEL_REDIS_SECRET_KEY: 'REDIS' },
    ],
    ['one namespace is the release’s', { scope: 'Namespaced' }, { WATCH_NAMESPACE: releaseNamespace }],
    ['or another', { scope: 'Namespaced', watchNamespace: 'credit' }, { WATCH_NAMESPACE: 'credit' }],
    [
      'a digest outdoes a tag',
      { image: { repository: 'r', tag: 't', digest: `sha256:${'a'.repeat(64)}` } },
      { RISKMODEL_IMAGE: `r@sha256:${'a'.repeat(64)}` },
    ],
    [
      'a Gateway is looked for in the release’s namespace',
      { models: { gateway: { name: 'public' } } },
      { RISKMODEL_GATEWAY_NAME: 'public', RISKMODEL_GATEWAY_NAMESPACE: releaseNamespace },
    ],
    [
      'annotations are JSON',
      { models: { serviceAccountAnnotations: { 'a/b': 'c"d' } } },
      { RISKMODEL_SERVICE_ACCOUNT_ANNOTATIONS: '{"a/b":"c\\"d"}' },
    ],
    [
      'Secrets of the registry are named for models’ pods',
      { models: { imagePullSecrets: [{ name: 'registry' }, { name: 'mirror' }] } },
      { RISKMODEL_IMAGE_PULL_SECRETS: 'registry,mirror' },
    ],
    ['nobody is asked who calls', {}, { RISKMODEL_AUTH: undefined, RISKMODEL_OIDC_ISSUER: undefined }],
    [
      'callers show keys',
      { auth: { mode: 'api-key', apiKeys: { secretName: 'callers' } }, rateLimit: { online: '100/s', batch: '10/h' } },
      {
        RISKMODEL_AUTH: 'api-key',
        RISKMODEL_API_KEYS_SECRET: 'callers',
        RISKMODEL_OIDC_AUDIENCE: undefined,
        RISKMODEL_RATE_LIMIT_ONLINE: '100/s',
        RISKMODEL_RATE_LIMIT_BATCH: '10/h',
      },
    ],
    [
      'or tokens',
      {
        auth: {
          mode: 'api-key,oidc',
          apiKeys: { secretName: 'callers' },
          oidc: { audience: 'https://risk.example', allowedEmails: ['a@b.example', 'c@d.example=online'] },
        },
      },
      {
        RISKMODEL_AUTH: 'api-key,oidc',
        RISKMODEL_OIDC_ISSUER: undefined,
        RISKMODEL_OIDC_AUDIENCE: 'https://risk.example',
        RISKMODEL_OIDC_ALLOWED_EMAILS: 'a@b.example,c@d.example=online',
      },
    ],
    ['more variables come last', { operator: { extraEnv: [{ name: 'TZ', value: 'UTC' }] } }, { TZ: 'UTC' }],
  ];
  test.each(cases)('%s', async (_why, values, env) => {
    const found = await environment(values);
    expect(Object.fromEntries(Object.keys(env).map((name) => [name, found[name]]))).toEqual(env);
  });
});

/** The operator's environment: values as they are, and where the others come from. */
async function environment(values: Values): Promise<Record<string, unknown>> {
  const variables = Object.values(operatorEnv(await chart.render(values)));
  return Object.fromEntries(variables.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
}

describe('what the operator may do', () => {
  test('is watching and applying every kind of object that it makes', async () => {
    const rules = await rulesOf('ClusterRole', {});
    for (const type of [...ownedTypes, ...optionalTypes]) {
      expect([type.plural, verbsFor(rules, type)]).toEqual([
        type.plural,
        expect.arrayContaining(['list', 'watch', 'create', 'patch']),
      ]);
    }
    expect(verbsFor(rules, pods)).toEqual(['list', 'watch']);
    expect(verbsFor(rules, riskModels)).toEqual(['list', 'watch', 'patch', 'get']);
    expect(verbsFor(rules, eventType)).toEqual(['create', 'patch']);
  });

  test('is leading by a Lease of its own namespace alone', async () => {
    expect(verbsFor(await rulesOf('ClusterRole', {}), leaseType)).toEqual([]);
    expect(await rulesOf('Role', {}, '-leader')).toEqual([
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
    ]);
  });

  test('is the same in one namespace, and nothing anywhere else', async () => {
    const objects = await chart.render({ scope: 'Namespaced', watchNamespace: 'credit' });
    const name = 'rm-risk-model-operator';
    const role = find(objects, 'Role', name);
    expect(role.metadata.namespace).toBe('credit');
    expect(role.rules).toEqual(await rulesOf('ClusterRole', { webhook: { enabled: false } }));
    expect(find(objects, 'RoleBinding', name)).toMatchObject({
      metadata: { namespace: 'credit' },
      roleRef: { kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: releaseNamespace }],
    });
    expect(objects.filter(({ kind }) => kind === 'ClusterRoleBinding')).toEqual([]);
    const clusterRoles = objects.filter(({ kind }) => kind === 'ClusterRole').map(({ metadata }) => metadata.name);
    expect(clusterRoles.sort()).toEqual(['rm-risk-model-edit', 'rm-risk-model-view']);
  });

  test('people who may view or edit a namespace may view or edit its models', async () => {
    const objects = await chart.render();
    const label = 'rbac.authorization.k8s.io/aggregate-to-';
    for (const role of ['view', 'edit']) {
      const { metadata, rules = [] } = find(objects, 'ClusterRole', `rm-risk-model-${role}`);
      expect(metadata.labels).toMatchObject({ [`${label}${role}`]: 'true' });
      expect(rules.flatMap(({ resources }) => resources)).not.toContain('riskmodels/status');
    }
  });
});

async function rulesOf(kind: string, values: Values, suffix = ''): Promise<PolicyRule[]> {
  return find(await chart.render(values), kind, `rm-risk-model-operator${suffix}`).rules ?? [];
}

function verbsFor(rules: PolicyRule[], { apiVersion, plural }: ResourceType): string[] {
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] as string) : '';
  return rules
    .filter(({ apiGroups, resources }) => apiGroups.includes(group) && resources.includes(plural))
    .flatMap(({ verbs }) => verbs);
}

describe('the bundled Redis', () => {
  test('has its address in every namespace of models and in the operator’s, with one password', async () => {
    const objects = await chart.render({ modelNamespaces: ['credit', 'fraud'] });
    const secrets = objects.filter(
      ({ kind, metadata }) => kind === 'Secret' && metadata.name === 'rm-risk-model-redis',
    );
    expect(secrets.map(({ metadata }) => metadata.namespace)).toEqual(['credit', 'fraud', releaseNamespace]);
    const [{ stringData = {} } = {}] = secrets;
    expect(stringData['password']).toMatch(/^[A-Za-z0-9]{32}$/);
    const url = `redis://:${stringData['password']}@rm-risk-model-redis.${releaseNamespace}.svc:6379`;
    for (const { stringData: data, metadata } of secrets) {
      expect(data).toEqual({ password: stringData['password'], url });
      expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
    }
  });

  test('has the password that is given', async () => {
    const password = 'sixteen-letters_';
    const secret = find(await chart.render({ redis: { bundled: { password } } }), 'Secret', 'rm-risk-model-redis');
    expect(secret.stringData?.['password']).toBe(password);
  });

  test.each([{ url: 'redis://r:6379' }, { existingSecret: { name: 'queue' } }])(
    'is not there with %j',
    async (redis) => {
      const names = (await chart.render({ redis })).map(({ metadata }) => metadata.name);
      expect(names).not.toContain('rm-risk-model-redis');
    },
  );

  test('evicts nothing and writes everything down', async () => {
    const [container] = podOf(find(await chart.render(), 'StatefulSet', 'rm-risk-model-redis'))?.containers ?? [];
    expect(container?.args?.[0]).toContain('maxmemory-policy noeviction');
    expect(container?.args?.[0]).toContain('appendonly yes');
  });
});

describe('Google Cloud as the backend', () => {
  test('is told to the operator, and no volume is asked for', async () => {
    const objects = await chart.render({
      backend: 'gcp',
      gcp: { project: 'bank-risk', staging: 'gs://staging/risk', bigQuery: { maximumBytesBilled: 1_099_511_627_776 } },
      storage: { create: { enabled: true } },
    });
    expect(objects.map(({ kind }) => kind)).not.toContain('PersistentVolumeClaim');
    const [container] = podOf(find(objects, 'Deployment', 'rm-risk-model-operator'))?.containers ?? [];
    const env = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]));
    expect(env).toMatchObject({
      RISKMODEL_BACKEND: 'gcp',
      RISKMODEL_STAGING: 'gs://staging/risk',
      GOOGLE_CLOUD_PROJECT: 'bank-risk',
      RISKMODEL_BIGQUERY_MAX_BYTES_BILLED: '1099511627776',
    });
    expect(env).not.toHaveProperty('RISKMODEL_STORAGE_CLAIM');
  });
});

describe('wrong values are refused', () => {
  const cases: [values: Values, message: RegExp][] = [
    [{ scope: 'cluster' }, /at '\/scope': value must be one of 'Cluster', 'Namespaced'/],
    [{ replicas: 2 }, /additional properties 'replicas' not allowed/],
    [{ operator: { replica: 2 } }, /at '\/operator': additional properties 'replica' not allowed/],
    [{ operator: { replicas: 0 } }, /at '\/operator\/replicas': minimum: got 0, want 1/],
    [
      { operator: { logLevel: 'trace' } },
      /at '\/operator\/logLevel': value must be one of 'debug', 'info', 'warn', 'error'/,
    ],
    [{ image: { tag: 1 } }, /at '\/image\/tag': got number, want string/],
    [{ image: { digest: 'sha256:abc' } }, /at '\/image\/digest': 'sha256:abc' does not match pattern/],
    [{ image: { pullPolicy: 'always' } }, /at '\/image\/pullPolicy': value must be one of/],
    [{ models: { drainSeconds: '30s' } }, /at '\/models\/drainSeconds': got string, want integer/],
    [{ redis: { url: 'localhost:6379' } }, /at '\/redis\/url': 'localhost:6379' does not match pattern/],
    [{ redis: { bundled: { password: 'short' } } }, /at '\/redis\/bundled\/password': 'short' does not match pattern/],
    [{ modelNamespaces: 'credit' }, /at '\/modelNamespaces': got string, want array/],
    [{ modelNamespaces: ['Credit'] }, /at '\/modelNamespaces\/0': 'Credit' does not match pattern/],
    [{ storage: { claimName: '' } }, /at '\/storage\/claimName': '' does not match pattern/],
    // What no schema can say in words.
    [{ redis: { url: 'redis://:secret@r:6379' } }, /redis\.url: has credentials in it, .* put the URL in a Secret/],
    [
      { redis: { url: 'redis://r:6379', existingSecret: { name: 's' } } },
      /redis: url and existingSecret\.name are both given/,
    ],
    [{ redis: { bundled: { enabled: false } } }, /redis: give redis\.url or redis\.existingSecret\.name/],
    [{ backend: 'gcp' }, /gcp\.staging: is required with backend=gcp/],
    [{ backend: 's3' }, /at '\/backend': value must be one of 'volume', 'gcp'/],
    [{ gcp: { staging: 'staging' } }, /at '\/gcp\/staging': 'staging' does not match pattern/],
    [{ auth: { mode: 'basic' } }, /at '\/auth\/mode': value must be one of 'none', 'api-key', 'oidc', 'api-key,oidc'/],
    [{ auth: { mode: 'api-key' } }, /auth\.apiKeys\.secretName: is required with api-key in auth\.mode/],
    [{ auth: { mode: 'oidc', oidc: { audience: 'a' } } }, /auth\.oidc: audience and allowedEmails are required/],
    [{ auth: { oidc: { allowedEmails: ['*'] } } }, /at '\/auth\/oidc\/allowedEmails\/0': '\*' does not match pattern/],
    [{ rateLimit: { online: '100' } }, /at '\/rateLimit\/online': '100' does not match pattern/],
    [{ triggers: { subscription: 'riskmodel' } }, /at '\/triggers\/subscription': 'riskmodel' does not match pattern/],
    [{ watchNamespace: 'credit' }, /watchNamespace: is for scope=Namespaced/],
    [{ serviceAccount: { create: false } }, /serviceAccount\.name: is required when serviceAccount\.create is false/],
  ];
  test.each(cases)('%j', async (values, message) => {
    await expect(chart.renderText(values)).rejects.toThrow(message);
  });

  test('every value that the schema knows stands in values.yaml', () => {
    const schema = JSON.parse(readFileSync(join(chartFolder, 'values.schema.json'), 'utf8')) as ValuesSchema;
    const values = parse(readFileSync(join(chartFolder, 'values.yaml'), 'utf8')) as Record<string, unknown>;
    expect(missingFrom(values, schema, '')).toEqual([
      'global',
      'operator.resources.claims',
      'webhook.namespaceSelector.matchLabels',
      'webhook.namespaceSelector.matchExpressions',
      'redis.bundled.resources.claims',
    ]);
  });
});

interface ValuesSchema {
  properties?: Record<string, ValuesSchema>;
}

function missingFrom(values: unknown, schema: ValuesSchema, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const child = (values as Record<string, unknown> | undefined)?.[name];
    const childPath = path === '' ? name : `${path}.${name}`;
    return child === undefined ? [childPath] : missingFrom(child, property, childPath);
  });
}

describe('the dashboard', () => {
  const file = join(chartFolder, 'dashboards/riskmodel.json');
  const dashboard = JSON.parse(readFileSync(file, 'utf8')) as {
    panels: { id: number; title: string; description?: string; type: string; targets?: { expr: string }[] }[];
  };
  const queried = dashboard.panels.filter(({ type }) => type !== 'row');

  test('is in the ConfigMap as it stands', async () => {
    const { data } = find(await chart.render({ dashboard: { enabled: true } }), 'ConfigMap', 'rm-risk-model-dashboard');
    expect(JSON.parse(data?.['riskmodel.json'] ?? '')).toEqual(dashboard);
  });

  test('explains each of its panels, and has no two of one id', () => {
    expect(queried.filter(({ description }) => !description).map(({ title }) => title)).toEqual([]);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  test('asks for metrics that there are', () => {
    const asked = queried.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsOf(expr)));
    expect(asked.length).toBeGreaterThan(30);
    expect([...new Set(asked)].filter((name) => !metricNames().has(name))).toEqual([]);
  });
});

describe('the alert rules', () => {
  interface Rule {
    alert: string;
    expr: string;
    labels: { severity: string };
    annotations: { summary: string; description: string };
  }

  async function rules(values: Values = {}): Promise<Rule[]> {
    const objects = await chart.render({ alerts: { enabled: true, ...values } });
    const { spec } = find(objects, 'ClusterRules', 'rm-risk-model-risk-system') as RenderedObject & {
      spec: { groups: { rules: Rule[] }[] };
    };
    return spec.groups.flatMap((group) => group.rules);
  }

  test('ask for metrics that there are, and compare with thresholds', async () => {
    const expressions = (await rules()).map(({ expr }) => expr);
    const asked = expressions.flatMap(metricsOf);
    expect(asked.length).toBeGreaterThan(10);
    expect([...new Set(asked)].filter((name) => !metricNames().has(name))).toEqual([]);
    expect(expressions.filter((expr) => !/ > [\d.e+]+$/.test(expr))).toEqual([]);
  });

  test('have the thresholds of the values', async () => {
    const { expr } = (await rules({ thresholds: { latencySeconds: 0.04 } })).find(
      ({ alert }) => alert === 'RiskModelLatency',
    ) as Rule;
    expect(expr.endsWith('> 0.04')).toBe(true);
  });

  test('say what is wrong, and are explained in docs/operations.md', async () => {
    const explained = readFileSync(join(chartFolder, '../../docs/operations.md'), 'utf8');
    for (const { alert, annotations } of await rules()) {
      expect(annotations.summary).not.toBe('');
      expect(annotations.description).not.toBe('');
      expect(explained).toContain(`\`${alert}\``);
    }
  });
});

/** What the three programs measure. */
function metricNames(): Set<string> {
  const registry = new Registry();
  makeControllerMetrics(registry)('riskmodel', 1);
  makeQueueMetrics(registry);
  makeLeaderMetrics(registry);
  makeRequestMetrics(registry);
  makeWebhookMetrics(registry);
  const registries = [registry, makeMetrics().registry, makeWorkerMetrics().registry];
  return new Set(registries.flatMap((each) => each.getMetricsAsArray()).map(({ name }) => name));
}

/** The metrics that a PromQL expression names, histograms by their own name. */
function metricsOf(expression: string): string[] {
  const names = expression.match(
    /\b(riskmodel|controller_runtime|workqueue|rest_client|leader_election|process|nodejs)_\w+/g,
  );
  return (names ?? []).map((name) => name.replace(/_(bucket|sum|count)$/, ''));
}

describe('what is said after an installation', () => {
  test.each([
    {
      values: {},
      parts: ['helm test rm --namespace risk-system', 'kubectl --namespace risk-system apply -f', 'bundled'],
    },
    {
      values: { redis: { existingSecret: { name: 'queue' } }, scope: 'Namespaced', watchNamespace: 'credit' },
      parts: [
        'models of namespace credit',
        'the Secret queue with the URL of Redis under url',
        '--namespace credit apply',
      ],
    },
    { values: { crds: { keep: false } }, parts: ['takes the CRDs and with them all RiskModels'] },
  ])('with $values', async ({ values, parts }) => {
    const notes = await chart.notes(values);
    for (const part of parts) expect(notes).toContain(part);
  });
});
